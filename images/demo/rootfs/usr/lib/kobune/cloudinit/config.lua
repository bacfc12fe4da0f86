-- The keys of a #cloud-config that this guest understands; others are named in the log and left alone.
local lyaml = require("lyaml")
local sys = require("sys")
local users = require("users")

local config = {}
local DEFAULT_USER = "kobune"
local KNOWN = {}
for word in ([[
    hostname fqdn preserve_hostname manage_etc_hosts user users password chpasswd ssh_pwauth ssh_authorized_keys
    disable_root write_files bootcmd runcmd timezone final_message package_update package_upgrade packages
]]):gmatch("%S+") do
    KNOWN[word] = true
end

local function list(value)
    if value == nil or value == lyaml.null then
        return {}
    end
    return type(value) == "table" and value or { value }
end

-- Comma-separated text or a list.
local function names(value)
    local found = {}
    for _, part in ipairs(list(value)) do
        for name in tostring(part):gmatch("[^,%s]+") do
            found[#found + 1] = name
        end
    end
    return found
end

function config.set_hostname(name)
    name = tostring(name)
    local short = name:match("^[^.]+")
    sys.write("/etc/hostname", short .. "\n", 420)
    local own = name == short and short or name .. " " .. short
    sys.write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 " .. own .. "\n::1 localhost ip6-localhost\n", 420)
    sys.write("/var/lib/cloud/hostname-set", "", 420)
    sys.run("hostname", short)
end

local function password(name, value, kind)
    value = tostring(value)
    -- A crypt hash is recognized as cloud-init does.
    local hashed = kind == "hash" or kind == nil and value:match("^%$%w+%$") ~= nil
    users.set_password(name, value, hashed)
end

local function add_user(entry)
    local name = tostring(entry.name)
    users.add(name, entry)
    for _, group in ipairs(names(entry.groups)) do
        users.add_to_group(name, group)
    end
    if entry.sudo and entry.sudo ~= lyaml.null then
        users.add_to_group(name, "sudo")
    end
    if entry.plain_text_passwd then
        password(name, entry.plain_text_passwd, "text")
    elseif entry.passwd or entry.hashed_passwd then
        password(name, entry.passwd or entry.hashed_passwd, "hash")
    end
    if entry.lock_passwd ~= false then
        users.lock(name)
    end
    local keys = list(entry.ssh_authorized_keys)
    if #keys > 0 then
        users.authorize(name, keys)
    end
end

-- `users` replaces the default user unless it lists `default`; `user` changes the default user's properties.
local function accounts(data, keys)
    local default = DEFAULT_USER
    local own = data.user
    if type(own) == "string" then
        default = own
    elseif type(own) == "table" and own ~= lyaml.null then
        default = tostring(own.name or default)
    end
    local with_default = data.users == nil
    for _, entry in ipairs(list(data.users)) do
        if entry == "default" then
            with_default = true
        elseif type(entry) == "table" and entry.name then
            add_user(entry)
        elseif type(entry) == "string" then
            add_user({ name = entry })
        end
    end
    if default ~= DEFAULT_USER or not with_default then
        users.lock(DEFAULT_USER)
    end
    if with_default then
        users.add(default, {})
        users.add_to_group(default, "sudo")
        if #keys > 0 then
            users.authorize(default, keys)
        end
        if data.password then
            password(default, data.password)
        end
    elseif #keys > 0 then
        local first = list(data.users)[1]
        if type(first) == "table" and first.name then
            users.authorize(tostring(first.name), keys)
        end
    end
    local change = data.chpasswd
    if type(change) == "table" and change ~= lyaml.null then
        for _, entry in ipairs(list(change.users)) do
            password(tostring(entry.name), entry.password or "", entry.type)
        end
        local lines = change.list
        if type(lines) == "table" then
            lines = table.concat(lines, "\n")
        end
        for line in tostring(lines or ""):gmatch("[^\n]+") do
            local name, value = line:match("^%s*([^:]+):(.*)$")
            if name and users.exists(name) then
                password(name, value)
            end
        end
    end
end

local function mode_of(value, default)
    if type(value) == "number" then
        return math.tointeger(value) or default
    end
    return value and tonumber(tostring(value):gsub("^0o", ""), 8) or default
end

local function write_file(entry)
    local text = tostring(entry.content or "")
    local encoding = tostring(entry.encoding or "text/plain")
    if encoding:find("b64", 1, true) or encoding:find("base64", 1, true) then
        text = sys.filter(text, "base64", "-d") or ""
    end
    if encoding:find("gz", 1, true) then
        text = sys.filter(text, "gunzip") or ""
    end
    local path = tostring(entry.path)
    if sys.write(path, text, mode_of(entry.permissions, 420), entry.append == true) and entry.owner then
        sys.run("chown", tostring(entry.owner), path)
    end
end

-- Before the login prompt: name, accounts, files.
function config.init(data, source)
    for key in pairs(data) do
        if not KNOWN[key] then
            sys.log("WARNING this guest does not know %s", tostring(key))
        end
    end
    local name = data.fqdn or data.hostname or source.hostname
    if name and data.preserve_hostname ~= true then
        config.set_hostname(name)
    end
    local keys = {}
    for _, key in ipairs(list(data.ssh_authorized_keys)) do
        keys[#keys + 1] = key
    end
    if type(source.keys) == "table" then
        for _, key in pairs(source.keys) do
            keys[#keys + 1] = type(key) == "table" and key["openssh-key"] or key
        end
    end
    accounts(data, keys)
    if data.ssh_pwauth == false or data.ssh_pwauth == "no" then
        sys.write("/etc/default/dropbear", "-s\n", 420)
    end
    for _, entry in ipairs(list(data.write_files)) do
        if not entry.defer then
            write_file(entry)
        end
    end
end

local function commands(value, what)
    for _, command in ipairs(list(value)) do
        local ok
        if type(command) == "table" then
            ok = sys.run(table.unpack(command))
        else
            ok = sys.run("/bin/sh", "-c", tostring(command))
        end
        if not ok then
            sys.fail("%s: a command failed: %s", what, type(command) == "table" and table.concat(command, " ") or command)
        end
    end
end

-- On every boot, before everything else.
function config.bootcmd(data)
    commands(data.bootcmd, "bootcmd")
end

-- On the first boot, after the network.
function config.final(data)
    for _, entry in ipairs(list(data.write_files)) do
        if entry.defer then
            write_file(entry)
        end
    end
    if #list(data.packages) > 0 then
        sys.fail("packages can't be installed in this guest")
    end
    commands(data.runcmd, "runcmd")
end

return config
