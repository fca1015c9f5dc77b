#include "net/client.h"

#include <iostream>

#include "agent/api/answers.h"
#include "agent/cli/session.h"
#include "base/text.h"
#include "keys/random.h"
#include "schema/calendar.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::int64_t kCallTimeoutMs = 120'000;  // a verify of a full tablet takes its time

Result<int> offset_minutes_of(const std::string& text) {
  const bool shape = text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':';
  const auto hours = shape ? integer_from_text(text.substr(1, 2))
                           : Result<std::int64_t>(fail(Errc::malformed, ""));
  const auto minutes = shape ? integer_from_text(text.substr(4, 2))
                             : Result<std::int64_t>(fail(Errc::malformed, ""));
  if (!hours || !minutes || *hours > 14 || *minutes > 59) {
    return fail(Errc::invalid_argument, "--utc-offset is written like +07:00, not '" + text + "'");
  }
  const int offset = static_cast<int>(*hours * 60 + *minutes);
  return text[0] == '-' ? -offset : offset;
}

}  // namespace

int exit_code_of(const Error& error) {
  for (const Errc errc :
       {Errc::invalid_argument, Errc::malformed, Errc::not_found, Errc::already_exists,
        Errc::conflict, Errc::unsupported, Errc::unauthorised, Errc::bad_signature, Errc::too_large,
        Errc::expired}) {
    if (error.is(errc)) return 2;
  }
  return 1;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // C1 controls are U+0080–U+009F: C2 80 … C2 9F in UTF-8.
    const bool c1 =
        c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c == '\n' || c == '\t') {
      out += ' ';
    } else if (c < 0x20 || c == 0x7F) {
      out += "\xEF\xBF\xBD";
    } else if (c1) {
      out += "\xEF\xBF\xBD";
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

Result<AppOptions> Session::options() const {
  AppOptions options;
  options.data.path = data;
  options.keep_days = keep_days;
  FP_TRY(options.offset_minutes, offset_minutes_of(utc_offset));
  return options;
}

Result<Client*> Session::client() {
  if (!opened) {
    FP_TRY(auto made, options());
    opened = std::make_unique<Client>(std::move(made));
  }
  return opened.get();
}

void Session::fail_with(const Error& error) {
  std::cout.flush();
  std::cerr << "fieldpost-agent: "
            << printable(error.detail.empty() ? error.message() : error.detail) << '\n';
  exit_code = exit_code_of(error);
}

void Session::run(const std::function<Status()>& body) {
  if (auto done = body(); !done) fail_with(done.error());
}

Status Client::connect() {
  if (connected_) return {};
  running_ = read_run_file(options_.data);
  if (running_) {
    FP_TRY(token_, api_token(options_.data, keys::system_random()));
    if (ask_daemon("GET", "/v1/status", "")) {
      connected_ = true;
      return {};
    }
    running_.reset();  // what a killed daemon left behind
  }
  FP_TRY(app_, App::open(options_));
  if (!app_->kv().migrated().empty())
    std::cerr << "fieldpost-agent: " << app_->kv().migrated() << '\n';
  connected_ = true;
  return {};
}

Result<bool> Client::daemon() {
  FP_CHECK_OK(connect());
  return running_.has_value();
}

Result<net::HttpResponse> Client::ask_daemon(const std::string& method, const std::string& target,
                                             const std::string& body) {
  net::ClientRequest request;
  request.method = method;
  request.host = "127.0.0.1";
  request.port = running_->port;
  request.target = target;
  request.headers.emplace_back("Authorization", "Bearer " + token_);
  request.body = body;
  request.timeout_ms = kCallTimeoutMs;
  request.body_bytes_max = 64 * 1024 * 1024;
  FP_TRY(auto answer, net::http_request(std::move(request)));
  return std::move(answer.response);
}

Result<net::HttpResponse> Client::ask(const std::string& method, const std::string& target,
                                      const json& body) {
  FP_CHECK_OK(connect());
  const std::string text = body.is_null() ? std::string() : body.dump();
  if (running_) return ask_daemon(method, target, text);
  net::HttpRequest request;
  request.method = method;
  request.target = target;
  FP_CHECK_OK(net::parse_target(request));
  request.body = text;
  std::optional<net::HttpResponse> answer;
  app_->router().handle(std::move(request), net::Responder([&](net::HttpResponse response) {
                          answer = std::move(response);
                        }));
  app_->tend();
  if (!answer) return fail(Errc::closed, "the agent did not answer");
  return *std::move(answer);
}

Result<json> Client::call(const std::string& method, const std::string& target, const json& body) {
  FP_TRY(const auto answer, ask(method, target, body));
  if (answer.status >= 400) return error_of(answer);
  auto parsed = json::parse(answer.body, nullptr, false);
  if (parsed.is_discarded()) return fail(Errc::malformed, "the agent's answer is not JSON");
  return parsed;
}

}  // namespace fieldpost::agent
