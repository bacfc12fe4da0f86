-- Where the instance's data is: a disk labelled `cidata` (NoCloud) or `config-2` (ConfigDrive), or a folder in the image.
local lyaml = require("lyaml")
local sys = require("sys")

local datasource = {}
local MOUNT = "/run/cloud-init/disk"
local SEED = "/var/lib/cloud/seed/nocloud"

-- The volume label (in lower case) and the type of an ISO 9660 or FAT file system, or nil.
local function identify(device)
    local file = io.open(device, "rb")
    if not file then
        return nil
    end
    local boot = file:read(512) or ""
    file:seek("set", 32768)
    local descriptor = file:read(80) or ""
    file:close()
    local name
    local kind = "vfat"
    if descriptor:sub(2, 6) == "CD001" then
        name, kind = descriptor:sub(41, 72), "iso9660"
    elseif boot:sub(83, 87) == "FAT32" then
        name = boot:sub(72, 82)
    elseif boot:sub(55, 57) == "FAT" then
        name = boot:sub(44, 54)
    end
    if not name then
        return nil
    end
    return name:gsub("[%s%z]+$", ""):lower(), kind
end

local function parse(text, what)
    if not text or text == "" then
        return {}
    end
    local ok, value = pcall(lyaml.load, text)
    if not ok then
        sys.fail("%s is not valid YAML: %s", what, tostring(value):gsub("\n", " "))
        return {}
    end
    return type(value) == "table" and value ~= lyaml.null and value or {}
end

-- User data may be compressed.
local function unpacked(data)
    if data and data:sub(1, 2) == "\31\139" then
        return sys.filter(data, "gunzip") or ""
    end
    return data or ""
end

local function nocloud(folder)
    local meta = parse(sys.read(folder .. "/meta-data"), "meta-data")
    local network = parse(sys.read(folder .. "/network-config"), "network-config")
    return {
        name = "NoCloud",
        instance_id = meta["instance-id"],
        hostname = meta["local-hostname"] or meta["hostname"],
        keys = meta["public-keys"],
        user_data = unpacked(sys.read(folder .. "/user-data")),
        network = network.network or network,
    }
end

local function config_drive(folder)
    local meta = parse(sys.read(folder .. "/openstack/latest/meta_data.json"), "meta_data.json")
    return {
        name = "ConfigDrive",
        instance_id = meta.uuid,
        hostname = meta.hostname or meta.name,
        keys = meta.public_keys,
        user_data = unpacked(sys.read(folder .. "/openstack/latest/user_data")),
        network = {},
    }
end

-- The instance's data, or nil when there is none.
function datasource.find()
    for _, path in ipairs(sys.list("/sys/class/block/*")) do
        local device = "/dev/" .. path:match("[^/]+$")
        local name, kind = identify(device)
        if name == "cidata" or name == "config-2" then
            sys.run("mkdir", "-p", MOUNT)
            if sys.run("mount", "-t", kind, "-o", "ro", device, MOUNT) then
                local found = name == "cidata" and nocloud(MOUNT) or config_drive(MOUNT)
                sys.run("umount", MOUNT)
                found.device = device
                return found
            end
            sys.fail("%s has the label %s but can't be mounted", device, name)
        end
    end
    if sys.exists(SEED .. "/meta-data") then
        return nocloud(SEED)
    end
    return nil
end

return datasource
