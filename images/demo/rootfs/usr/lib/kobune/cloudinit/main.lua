#!/usr/bin/lua5.4
-- The basics of cloud-init: `main.lua init` before the login prompt, `main.lua final` after the network.
-- Accounts, files and commands are applied once per instance-id; the network's settings on every boot.
package.path = "/usr/lib/kobune/cloudinit/?.lua;" .. package.path
local lyaml = require("lyaml")
local config = require("config")
local datasource = require("datasource")
local network = require("network")
local sys = require("sys")
local users = require("users")

local STATE = "/var/lib/cloud"
local SAVED = "/run/cloud-init/user-data"

local function cloud_config(text)
    if not text:match("^#cloud%-config") then
        return {}
    end
    local ok, data = pcall(lyaml.load, text)
    if not ok then
        sys.fail("user-data is not valid YAML: %s", tostring(data):gsub("\n", " "))
        return {}
    end
    return type(data) == "table" and data ~= lyaml.null and data or {}
end

local function init()
    users.make_home("kobune")
    local source = datasource.find()
    if not source then
        sys.log("no NoCloud or ConfigDrive disk")
        return
    end
    sys.log("data from %s on %s", source.name, tostring(source.device or "the root file system"))
    local id = tostring(source.instance_id or "iid-none")
    local data = cloud_config(source.user_data)
    sys.write(SAVED, source.user_data, 384)
    if type(source.network) == "table" then
        network.configure(source.network)
    end
    config.bootcmd(data)
    if (sys.read(STATE .. "/instance-id") or "") ~= id then
        -- Another instance of the same disk must not have the first one's keys.
        sys.run("rm", "-f", "/etc/dropbear/dropbear_ed25519_host_key", "/etc/dropbear/dropbear_ecdsa_host_key")
        config.init(data, source)
        sys.write("/run/cloud-init/first-boot", "", 420)
        sys.write(STATE .. "/instance-id", id, 420)
    end
end

local function final()
    if sys.exists("/run/cloud-init/first-boot") then
        local text = sys.read(SAVED) or ""
        if text:sub(1, 2) == "#!" then
            sys.write(STATE .. "/user-script", text, 448)
            if not sys.run(STATE .. "/user-script") then
                sys.fail("the script in user-data failed")
            end
        else
            config.final(cloud_config(text))
        end
    end
end

local stage = arg[1] == "final" and final or init
local ok, message = xpcall(stage, debug.traceback)
if not ok then
    sys.fail("%s", message)
end
if stage == final then
    sys.write("/run/cloud-init/done", "", 420)
end
