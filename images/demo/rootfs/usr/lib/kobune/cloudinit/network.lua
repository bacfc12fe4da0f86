-- cloud-init's network-config, versions 1 and 2, for Ethernet devices: one file of settings each for /etc/network.
local sys = require("sys")

local network = {}

local function device_of(mac, name)
    for _, path in ipairs(sys.list("/sys/class/net/*")) do
        local device = path:match("[^/]+$")
        local address = (sys.read(path .. "/address") or ""):gsub("%s+$", "")
        if mac and address == tostring(mac):lower() or not mac and device == name then
            return device
        end
    end
    return nil
end

local function save(device, settings)
    local lines = {}
    for name, value in pairs(settings) do
        lines[#lines + 1] = name .. "=" .. sys.quote(type(value) == "table" and table.concat(value, " ") or value)
    end
    sys.write("/run/network/" .. device, table.concat(lines, "\n") .. "\n", 420)
end

local function gateways(settings, gateway)
    if gateway then
        settings[tostring(gateway):find(":", 1, true) and "gateway6" or "gateway"] = gateway
    end
end

local function version2(config)
    for name, part in pairs(config.ethernets or {}) do
        local device = device_of(part.match and part.match.macaddress, name)
        if device then
            local settings = { method = part.dhcp4 and "dhcp" or "static", address = part.addresses or {} }
            settings.mtu = part.mtu
            settings.dns = part.nameservers and part.nameservers.addresses
            gateways(settings, part.gateway4)
            gateways(settings, part.gateway6)
            for _, route in ipairs(part.routes or {}) do
                if route.to == "default" or route.to == "0.0.0.0/0" or route.to == "::/0" then
                    gateways(settings, route.via)
                end
            end
            save(device, settings)
        else
            sys.fail("network-config: there is no device %s", name)
        end
    end
end

local function version1(config)
    local dns = {}
    for _, part in ipairs(config.config or {}) do
        if part.type == "nameserver" then
            local addresses = type(part.address) == "table" and part.address or { part.address }
            table.move(addresses, 1, #addresses, #dns + 1, dns)
        end
    end
    for _, part in ipairs(config.config or {}) do
        local device = part.type == "physical" and device_of(part.mac_address, part.name)
        if device then
            local settings = { method = "static", address = {}, dns = dns, mtu = part.mtu }
            for _, subnet in ipairs(part.subnets or {}) do
                if tostring(subnet.type):sub(1, 4) == "dhcp" then
                    settings.method = "dhcp"
                elseif subnet.address then
                    settings.address[#settings.address + 1] = subnet.address
                    gateways(settings, subnet.gateway)
                end
            end
            save(device, settings)
        end
    end
end

function network.configure(config)
    if tonumber(config.version) == 2 then
        version2(config)
    elseif tonumber(config.version) == 1 then
        version1(config)
    end
end

return network
