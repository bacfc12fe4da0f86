-- Files, programs and the log. Programs get their arguments quoted; nothing of the user data reaches a shell unquoted.
local sys = { errors = {} }

local LOG = "/var/log/cloud-init.log"
local ERRORS = "/run/cloud-init/errors"

function sys.log(format, ...)
    local file = io.open(LOG, "a")
    if file then
        file:write(os.date("%Y-%m-%d %H:%M:%S "), format:format(...), "\n")
        file:close()
    end
end

-- What went wrong is kept for `cloud-init status`; the boot goes on.
function sys.fail(format, ...)
    sys.log("ERROR " .. format, ...)
    local file = io.open(ERRORS, "a")
    if file then
        file:write(format:format(...), "\n")
        file:close()
    end
end

function sys.quote(text)
    return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

-- Run a program; true when it ended with status 0.
function sys.run(...)
    local words = {}
    for index, word in ipairs({ ... }) do
        words[index] = sys.quote(word)
    end
    local ok = os.execute(table.concat(words, " "))
    if not ok then
        sys.log("failed: %s", table.concat(words, " "))
    end
    return ok == true
end

-- The output of a program that reads `input`; nil when it failed. Input goes through a file: io.popen has one direction.
function sys.filter(input, ...)
    local path = os.tmpname()
    sys.write(path, input, 384)
    local words = {}
    for index, word in ipairs({ ... }) do
        words[index] = sys.quote(word)
    end
    local pipe = assert(io.popen(table.concat(words, " ") .. " <" .. sys.quote(path), "r"))
    local output = pipe:read("a")
    local ok = pipe:close()
    os.remove(path)
    return ok and output or nil
end

function sys.read(path, count)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local text = file:read(count or "a")
    file:close()
    return text
end

-- Write a whole file, or append to it; mode is a number (384 is 0600).
function sys.write(path, text, mode, append)
    local parent = path:match("^(.*)/[^/]*$")
    if parent and parent ~= "" and not sys.exists(parent) then
        sys.run("mkdir", "-p", parent)
    end
    -- Private while it is being written.
    local file, message = io.open(path, append and "ab" or "wb")
    if file and mode then
        sys.run("chmod", "600", path)
    end
    if not file then
        sys.fail("can't write %s: %s", path, message)
        return false
    end
    file:write(text)
    file:close()
    if mode then
        sys.run("chmod", string.format("%o", mode), path)
    end
    return true
end

function sys.exists(path)
    local file = io.open(path, "rb")
    if file then
        file:close()
        return true
    end
    return false
end

function sys.lines(path)
    local lines = {}
    for line in (sys.read(path) or ""):gmatch("[^\n]+") do
        lines[#lines + 1] = line
    end
    return lines
end

function sys.list(pattern)
    local found = {}
    local pipe = assert(io.popen("ls -d " .. pattern .. " 2>/dev/null", "r"))
    for line in pipe:lines() do
        found[#found + 1] = line
    end
    pipe:close()
    return found
end

return sys
