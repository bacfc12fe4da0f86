-- Accounts in /etc/passwd, /etc/shadow and /etc/group, passwords and ssh keys.
local sys = require("sys")

local users = {}
local FIRST_ID = 1000

local function fields(line)
    local values = {}
    for value in (line .. ":"):gmatch("(.-):") do
        values[#values + 1] = value
    end
    return values
end

local function find(path, name)
    for _, line in ipairs(sys.lines(path)) do
        local values = fields(line)
        if values[1] == name then
            return values
        end
    end
    return nil
end

-- Replace the line of `name`, or add it.
local function put(path, name, line, mode)
    local lines, done = {}, false
    for _, old in ipairs(sys.lines(path)) do
        if fields(old)[1] == name then
            old, done = line, true
        end
        lines[#lines + 1] = old
    end
    if not done then
        lines[#lines + 1] = line
    end
    sys.write(path .. ".new", table.concat(lines, "\n") .. "\n", mode)
    os.rename(path .. ".new", path)
end

local function free_id()
    local id = FIRST_ID
    for _, path in ipairs({ "/etc/passwd", "/etc/group" }) do
        for _, line in ipairs(sys.lines(path)) do
            local used = tonumber(fields(line)[3]) or 0
            if used >= id and used < 60000 then
                id = used + 1
            end
        end
    end
    return id
end

local function set_hash(name, hash)
    put("/etc/shadow", name, ("%s:%s:19000:0:99999:7:::"):format(name, hash), 384)
end

function users.exists(name)
    return find("/etc/passwd", name) ~= nil
end

function users.set_password(name, password, hashed)
    if not hashed then
        password = (sys.filter(password .. "\n", "mkpasswd", "-m", "sha512", "-P", "0") or "*"):gsub("%s+$", "")
    end
    set_hash(name, password)
end

function users.lock(name)
    local entry = find("/etc/shadow", name)
    local hash = entry and entry[2] or "*"
    if hash:sub(1, 1) ~= "!" then
        set_hash(name, "!" .. hash)
    end
end

function users.add_to_group(name, group)
    local entry = find("/etc/group", group)
    if not entry then
        put("/etc/group", group, ("%s:x:%d:%s"):format(group, free_id(), name), 420)
        return
    end
    for member in entry[4]:gmatch("[^,]+") do
        if member == name then
            return
        end
    end
    local members = entry[4] == "" and name or entry[4] .. "," .. name
    put("/etc/group", group, ("%s:x:%s:%s"):format(group, entry[3], members), 420)
end

-- Make an account with a locked password and its home folder, unless it is there.
function users.add(name, options)
    if users.exists(name) then
        return
    end
    local id = tonumber(options.uid) or free_id()
    local home = options.homedir or "/home/" .. name
    put("/etc/group", name, ("%s:x:%d:"):format(name, id), 420)
    put("/etc/passwd", name, ("%s:x:%d:%d:%s:%s:%s"):format(
        name, id, id, tostring(options.gecos or ""):gsub("[:\n]", " "), home, options.shell or "/bin/sh"
    ), 420)
    set_hash(name, "*")
    if not options.no_create_home then
        users.make_home(name)
    end
end

function users.make_home(name)
    local entry = find("/etc/passwd", name)
    sys.run("mkdir", "-p", entry[6])
    sys.run("chown", entry[3] .. ":" .. entry[4], entry[6])
    sys.run("chmod", "750", entry[6])
end

function users.authorize(name, keys)
    local entry = find("/etc/passwd", name)
    if not entry then
        sys.fail("ssh keys for %s: no such user", name)
        return
    end
    local folder = entry[6] .. "/.ssh"
    local path = folder .. "/authorized_keys"
    local lines, known = sys.lines(path), {}
    for _, line in ipairs(lines) do
        known[line] = true
    end
    for _, key in ipairs(keys) do
        key = tostring(key):gsub("%s+$", "")
        if not known[key] then
            lines[#lines + 1] = key
        end
    end
    sys.write(path, table.concat(lines, "\n") .. "\n", 384)
    sys.run("chmod", "700", folder)
    sys.run("chown", "-R", entry[3] .. ":" .. entry[4], folder)
end

return users
