#include <algorithm>

#include "base/text.h"
#include "hub/api/routes.h"
#include "keys/pki.h"
#include "model/time_interval.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

/// An enrolment code lives at most a week: longer, and it will be found on a desk.
constexpr std::int64_t kValidMinutesMax = 7 * 24 * 60;
constexpr std::size_t kLabelBytesMax = 200;
/// Further off, a device's clock is wrong: a report takes seconds on a poor link, not minutes.
constexpr std::int64_t kClockErrorMsMax = 120'000;

json time_json(const std::optional<Instant>& time) {
  return time ? json(to_text(*time)) : json(nullptr);
}

bool all_of(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

bool is_unit_code(std::string_view code) {
  constexpr std::string_view kDigits = "0123456789";
  return code.size() >= 5 && code.size() <= 11 && all_of(code.substr(0, 2), kDigits) &&
         code[2] == '-' && all_of(code.substr(3), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
}

/// A name for people: short, and harmless on a terminal.
bool is_label(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  return !trimmed(text).empty() && text.size() <= kLabelBytesMax &&
         std::none_of(text.begin(), text.end(), control);
}

json device_json(const ApiParts& parts, std::string_view compartment,
                 const storage::Device& device) {
  const HubId hub = parts.stores.front().store->identity().hub;
  json out = {
      {"name", device.name},
      {"unit", device.unit},
      {"compartment", compartment},
      {"device", device.id.hex()},
      {"standing", device.standing == storage::DeviceStanding::active ? "active" : "revoked"},
      {"compare", compare_code(hub, device.id)},
      {"enrolled_at", to_text(device.enrolled)},
      {"last_contact", time_json(device.last_contact)},
      {"last_complete_sync", time_json(device.last_complete)},
      {"last_error", device.last_error},
      {"last_error_at", time_json(device.last_error_at)}};
  if (!device.former.empty()) {
    out["former_units"] = json::array();
    for (const storage::FormerGrant& former : device.former)
      out["former_units"].push_back(former.unit);
  }
  if (device.forks.times > 0) {
    const storage::ForkNotes& forks = device.forks;
    out["forks"] = {{"times", forks.times},
                    {"last_at", forks.times > 0 ? json(to_text(forks.last)) : json(nullptr)},
                    {"hub_had", forks.hub_head.value},
                    {"device_had", forks.device_head.value},
                    {"written_anew", forks.rewritten}};
  }
  if (!device.status) return out;
  const wire::AgentStatus& status = *device.status;
  json reported = {{"as_of", time_json(device.status_at)},
                   {"waiting", status.waiting},
                   {"oldest_waiting", time_json(status.oldest_waiting)},
                   {"attachments_waiting", status.attachments_waiting},
                   {"storage_free_bytes", status.storage_free_bytes},
                   {"app_version", status.app_version},
                   {"wall_clock", to_text(status.wall)}};
  if (!status.alarm.empty()) reported["alarm"] = status.alarm;
  if (status.battery_percent) reported["battery_percent"] = *status.battery_percent;
  if (const auto error = clock_error_ms(device)) {
    reported["clock_error_ms"] = *error;
    reported["clock_wrong"] = *error > kClockErrorMsMax || *error < -kClockErrorMsMax;
  }
  out["reported"] = std::move(reported);
  return out;
}

template <class Id>
Result<Id> hex_member(const json& body, const char* name) {
  if (!body.is_object() || !body.contains(name) || !body[name].is_string()) {
    return fail(Errc::invalid_argument, std::string("member \"") + name + "\" is missing");
  }
  const auto bytes = from_hex(body[name].get_ref<const std::string&>());
  if (!bytes) return fail(Errc::invalid_argument, std::string(name) + ": " + bytes.error().detail);
  auto id = Id::from(*bytes);
  if (!id) return fail(Errc::invalid_argument, std::string(name) + ": " + id.error().detail);
  return *id;
}

/// Written on a note beside the tablet and on screens, never longer than a line.
constexpr std::size_t kUnitNameBytesMax = 200;

bool is_device_name(std::string_view name) {
  return !name.empty() && name.size() <= 8 && all_of(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
}

Hash secret_hash(BytesView secret) { return crypto::hash("fieldpost.v1.invitation", {secret}); }

}  // namespace

std::optional<std::int64_t> clock_error_ms(const storage::Device& device) {
  if (!device.status || !device.status_at) return std::nullopt;
  return model::ms_between(*device.status_at, device.status->wall);
}

std::string compare_code(const HubId& hub, const DeviceId& device) {
  const std::string text =
      to_base32(crypto::hash("fieldpost.v1.compare", {hub.view(), device.view()}).view());
  return text.substr(0, 4) + "-" + text.substr(4, 4);
}

Result<json> DeviceRoutes::units(const Api& api, const net::HttpRequest&) {
  json units = json::array();
  for (const auto& reader : api.readers_) {
    FP_TRY(const auto found, reader->units());
    for (const storage::Unit& unit : found) {
      units.push_back(
          {{"code", unit.code}, {"name", unit.name}, {"compartment", unit.compartment}});
    }
  }
  return json{{"units", std::move(units)}};
}

Result<json> DeviceRoutes::put_unit(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  const std::string code = request.params.at("code");
  if (!is_unit_code(code)) {
    return fail(
        Errc::invalid_argument,
        "a unit code is a province number, a dash and 2–8 capitals or digits, such as 01-PPT");
  }
  if (!body.is_object())
    return fail(Errc::malformed, "the body must be a JSON object {\"name\", \"compartment\"}");
  FP_TRY(const std::string compartment,
         text_member(body, "compartment", "enforcement", kUnitNameBytesMax));
  FP_TRY(const std::string name, text_member(body, "name", code, kUnitNameBytesMax));
  if (!is_label(name))
    return fail(Errc::invalid_argument, "name: 1–200 bytes of text without control characters");
  const storage::Unit unit{code, name, compartment};
  std::optional<std::size_t> target;
  for (std::size_t i = 0; i < api.parts_.stores.size(); ++i) {
    if (api.parts_.stores[i].name == compartment) target = i;
  }
  if (!target) return fail(Errc::invalid_argument, "compartment must be enforcement or health");
  // No other request can come between this look and the write: operators' requests have one thread.
  for (std::size_t i = 0; i < api.readers_.size(); ++i) {
    FP_TRY(const auto known, api.readers_[i]->units());
    const bool elsewhere =
        i != *target &&
        std::any_of(known.begin(), known.end(), [&](const auto& u) { return u.code == code; });
    if (elsewhere)
      return fail(Errc::conflict,
                  "unit " + code + " exists in the other compartment; a unit never changes sides");
  }
  FP_TRY(const bool done, api.write<bool>(*target, [&](storage::HubStore& store) -> Result<bool> {
    FP_CHECK_OK(store.put_unit(unit));
    return true;
  }));
  return json{{"code", code}, {"name", unit.name}, {"compartment", compartment}, {"stored", done}};
}

Result<std::vector<storage::Device>> DeviceRoutes::heard(const Api& api, std::size_t store) {
  api.parts_.stores[store].writer->settle();
  return api.readers_[store]->devices();
}

Result<json> DeviceRoutes::devices(const Api& api, const net::HttpRequest&) {
  json devices = json::array();
  for (std::size_t i = 0; i < api.readers_.size(); ++i) {
    FP_TRY(const auto found, heard(api, i));
    for (const storage::Device& device : found) {
      devices.push_back(device_json(api.parts_, api.parts_.stores[i].name, device));
    }
  }
  std::sort(devices.begin(), devices.end(),
            [](const json& a, const json& b) { return a["name"] < b["name"]; });
  return json{{"as_of", to_text(api.parts_.clock())}, {"devices", std::move(devices)}};
}

Result<json> DeviceRoutes::device(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const auto found, named(api, request.params.at("name")));
  return device_json(api.parts_, api.parts_.stores[found.first].name, found.second);
}

Result<std::pair<std::size_t, storage::Device>> DeviceRoutes::named(const Api& api,
                                                                    const std::string& name) {
  std::optional<std::pair<std::size_t, storage::Device>> found;
  for (std::size_t i = 0; i < api.readers_.size(); ++i) {
    FP_TRY(const auto devices, heard(api, i));
    for (const storage::Device& device : devices) {
      if (device.name != name && device.id.hex() != name) continue;
      if (found)
        return fail(Errc::invalid_argument,
                    "two devices are named " + name + ", in unit " + found->second.unit +
                        " and in unit " + device.unit +
                        ": name the one you mean by its id, as `fieldpost-hub device list "
                        "--json` shows it");
      found.emplace(i, device);
    }
  }
  if (!found)
    return fail(Errc::not_found, "no device " + name + "; `fieldpost-hub device list` names them");
  return *std::move(found);
}

Result<std::size_t> DeviceRoutes::store_of_unit(const Api& api, const std::string& unit,
                                                const std::string& device_name) {
  std::optional<std::size_t> target;
  for (std::size_t i = 0; i < api.readers_.size(); ++i) {
    FP_TRY(const auto units, api.readers_[i]->units());
    if (std::any_of(units.begin(), units.end(), [&](const auto& u) { return u.code == unit; }))
      target = i;
    FP_TRY(const auto devices, api.readers_[i]->devices());
    const bool taken = std::any_of(devices.begin(), devices.end(), [&](const auto& d) {
      return d.name == device_name && d.unit == unit;
    });
    if (taken)
      return fail(Errc::already_exists, std::string("unit ")
                                            .append(unit)
                                            .append(" already has a device ")
                                            .append(device_name)
                                            .append("; choose another name"));
  }
  if (!target)
    return fail(Errc::not_found, "no unit " + unit + "; add it with: fieldpost-hub unit add " +
                                     unit + " --name NAME");
  return *target;
}

Result<json> DeviceRoutes::move(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  if (!body.is_object() || !body.contains("unit") || !body["unit"].is_string())
    return fail(Errc::malformed, "the body must be a JSON object {\"unit\"}");
  const std::string unit = body["unit"];
  FP_TRY(const auto found, named(api, request.params.at("name")));
  const std::size_t store = found.first;
  if (api.parts_.stores[store].name == "health")
    return fail(
        Errc::invalid_argument,
        "a rehab unit's tablet holds the keys of its unit and cannot be moved: enrol it anew "
        "in the other unit");
  FP_TRY(const auto units, api.readers_[store]->units());
  if (std::none_of(units.begin(), units.end(), [&](const auto& u) { return u.code == unit; }))
    return fail(Errc::not_found, "no unit " + unit +
                                     " of this compartment; add it with: "
                                     "fieldpost-hub unit add " +
                                     unit + " --name NAME");
  FP_TRY(const auto moved, api.write<storage::Device>(store, [&](storage::HubStore& s) {
    return s.move_device(found.second.id, unit, api.parts_.clock());
  }));
  // Its connection was greeted with the old unit.
  if (api.parts_.sync != nullptr) api.parts_.sync->device_changed(moved.id);
  return device_json(api.parts_, api.parts_.stores[store].name, moved);
}

Result<json> DeviceRoutes::invite(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  if (!body.is_object() || !body.contains("name") || !body["name"].is_string() ||
      !body.contains("unit") || !body["unit"].is_string()) {
    return fail(Errc::malformed,
                "the body must be a JSON object {\"name\", \"unit\", \"valid_minutes\"}");
  }
  const std::string name = body["name"];
  const std::string unit = body["unit"];
  if (!is_device_name(name))
    return fail(Errc::invalid_argument,
                "a device name is 1–8 capitals or digits, such as T07; it becomes part of "
                "reference numbers");
  const json minutes = body.value("valid_minutes", json(24 * 60));
  if (!minutes.is_number_integer() || minutes < 1 || minutes > kValidMinutesMax) {
    return fail(Errc::invalid_argument,
                "valid_minutes must be from 1 to " + std::to_string(kValidMinutesMax));
  }
  FP_TRY(const std::size_t target, store_of_unit(api, unit, name));
  const auto secret = random_id<SealId>(api.parts_.random);
  const Instant expires{api.parts_.clock().ms + minutes.get<std::int64_t>() * 60'000};
  const storage::Invitation invitation{secret_hash(secret.view()), name, unit, expires, {}};
  FP_TRY(const bool done, api.write<bool>(target, [&](storage::HubStore& store) -> Result<bool> {
    FP_CHECK_OK(store.put_invitation(invitation));
    return true;
  }));
  (void)done;
  FP_TRY(const keys::CertificateInfo ca, keys::read_certificate(api.parts_.keys->ca_pem));
  Bytes code = to_bytes(ca.fingerprint.view());
  code.insert(code.end(), secret.bytes.begin(), secret.bytes.end());
  const std::string text =
      api.parts_.settings.name + ":" + std::to_string(api.parts_.port) + "/" + to_base32(code);
  return json{{"code", text}, {"name", name}, {"unit", unit}, {"expires_at", to_text(expires)}};
}

// On the enrolments' thread: no reader of the Api is used here.
Result<json> DeviceRoutes::enrol(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  FP_TRY(const SealId secret, hex_member<SealId>(body, "secret"));
  FP_TRY(const DeviceId device, hex_member<DeviceId>(body, "device"));
  FP_TRY(const auto signature, hex_member<crypto::Signature>(body, "signature"));
  FP_TRY(const auto key, crypto::PublicKey::from(device.view()));
  if (!crypto::verify(key, signature, "fieldpost.v1.enrol", {secret.view(), device.view()})) {
    return fail(Errc::bad_signature, "the device did not prove that it holds its key");
  }
  const Hash code = secret_hash(secret.view());
  Result<storage::Device> enrolled =
      fail(Errc::not_found, "this enrolment code is unknown or was used; ask for a new one");
  std::string compartment;
  for (std::size_t i = 0; i < api.parts_.stores.size() && !enrolled; ++i) {
    if (!enrolled.error().is(Errc::not_found)) break;
    enrolled = api.write<storage::Device>(
        i, [&](storage::HubStore& store) { return store.enrol(code, device, api.parts_.clock()); });
    compartment = api.parts_.stores[i].name;
  }
  if (!enrolled) return enrolled.error();
  const storage::HubIdentity& identity = api.parts_.stores.front().store->identity();
  const HubId hub = identity.hub;
  return json{{"hub", hub.hex()},
              {"epoch", identity.epoch.hex()},
              {"device_name", enrolled->name},
              {"unit", enrolled->unit},
              {"compartment", compartment},
              {"server_name", api.parts_.settings.name},
              {"hub_time_ms", api.parts_.clock().ms},
              {"compare", compare_code(hub, device)}};
}

void DeviceRoutes::add(Api& api) {
  api.add("GET", "/v1/units", [&api](const net::HttpRequest& r) { return units(api, r); });
  api.add("PUT", "/v1/units/{code}",
          [&api](const net::HttpRequest& r) { return put_unit(api, r); });
  api.add("GET", "/v1/devices", [&api](const net::HttpRequest& r) { return devices(api, r); });
  api.add("GET", "/v1/devices/{name}",
          [&api](const net::HttpRequest& r) { return device(api, r); });
  api.add("POST", "/v1/devices/{name}/move",
          [&api](const net::HttpRequest& r) { return move(api, r); });
  api.add("POST", "/v1/invitations", [&api](const net::HttpRequest& r) { return invite(api, r); });
  api.add("POST", "/v1/enrol", [&api](const net::HttpRequest& r) { return enrol(api, r); });
}

}  // namespace fieldpost::hub
