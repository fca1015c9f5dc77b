#include "tests/fuzz/http_requests.h"

#include "base/text.h"
#include "tests/fuzz/json_mutator.h"

namespace fieldpost::fuzz {

using nlohmann::json;

namespace {

/// Texts of the paths and queries that somebody might put in another's place.
std::string odd_text(Input& in) {
  static const std::vector<std::string> kTexts = {"x",
                                                  "0",
                                                  "-1",
                                                  "9223372036854775808",
                                                  "1001",
                                                  "1",
                                                  "km",
                                                  "stop",
                                                  "health",
                                                  "enforcement",
                                                  "01-PPT",
                                                  "T07",
                                                  "final",
                                                  "draft",
                                                  "00000000-0000-0000-0000-000000000000",
                                                  "01a2104d-3df4-7b87-8207-f0c73086134d",
                                                  "ffffffffffffffff",
                                                  "a/b",
                                                  "..",
                                                  "ក",
                                                  std::string(300, 'z')};
  const std::size_t which = in.below(kTexts.size() + 6);
  return which < kTexts.size() ? kTexts[which] : std::string(as_text(in.take(in.below(24))));
}

std::string bent_target(Template request, Input& in) {
  for (std::size_t left = in.below(4); left > 0 && !in.empty(); --left) {
    switch (in.below(4)) {
      case 0:
        request.segments[in.below(request.segments.size())] = odd_text(in);
        break;
      case 1:
        if (!request.query.empty())
          request.query[in.below(request.query.size())].second = odd_text(in);
        break;
      case 2:
        request.query.emplace_back(odd_text(in), odd_text(in));
        break;
      default:
        request.segments.push_back(odd_text(in));
        break;
    }
  }
  return net::make_target(request.segments, request.query);
}

}  // namespace

std::optional<net::HttpRequest> request_of(const std::vector<Template>& templates, Input& in) {
  static const char* const kMethods[] = {"GET",  "POST",  "PUT", "DELETE",
                                         "HEAD", "PATCH", "get", ""};
  const Template& base = templates[in.below(templates.size())];
  const std::uint8_t how = in.byte();
  net::HttpRequest request;
  request.method = (how & 0x0f) == 0 ? kMethods[in.below(8)] : base.method;
  request.target =
      (how & 0x30) == 0 ? std::string(as_text(in.take(in.below(40)))) : bent_target(base, in);
  if ((how & 0xc0) == 0)
    request.body = std::string(as_text(in.take(in.below(200))));
  else if (!base.body.is_null())
    request.body = text_of(bent(base.body, in));
  if (!net::parse_target(request)) return std::nullopt;
  return request;
}

void require_answer(const net::HttpResponse& answer) {
  require(answer.status >= 200 && answer.status < 600, "a status is one of HTTP");
  if (answer.status == 500) std::fprintf(stderr, "%s\n", answer.body.c_str());
  require(answer.status != 500, "no request makes the program fail");
  if (answer.content_type == "application/json" && !answer.body.empty()) {
    const json body = json::parse(answer.body, nullptr, false);
    require(!body.is_discarded(), "an answer that says JSON is JSON");
    if (answer.status >= 400) {
      require(body.is_object() && body.contains("error") && body["error"].is_object() &&
                  !body["error"].value("message", "").empty(),
              "a refusal is a sentence");
    }
  }
}

void take_target(BytesView bytes) {
  net::HttpRequest request;
  request.target = std::string(as_text(bytes));
  const auto parsed = net::parse_target(request);
  if (!parsed) {
    require(parsed.error().is(Errc::malformed), "a target that does not read is malformed");
    return require(!parsed.error().detail.empty(), "and it is said why");
  }
  const auto clean = [](const std::string& text) {
    return is_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
             return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
           });
  };
  for (const auto& segment : request.segments) require(clean(segment), "segments are clean text");
  std::vector<std::pair<std::string, std::string>> query;
  bool all_given = true;
  for (const auto& [name, value] : request.query) {
    require(clean(name) && clean(value), "parameters are clean text");
    query.emplace_back(name, value);
    all_given = all_given && !value.empty();
  }
  if (request.segments.empty()) return;
  net::HttpRequest again;
  again.target = net::make_target(request.segments, query);
  require(net::parse_target(again).has_value(), "a target that was made is read");
  require(again.segments == request.segments, "the same segments");
  require(!all_given || again.query == request.query, "and the same parameters");
}

std::vector<Bytes> target_seeds() {
  std::vector<Bytes> seeds;
  for (const char* text :
       {"/v1/records?unit=01-PPT&limit=10", "/v1/records/01a2104d-3df4-7b87-8207-f0c73086134d",
        "/v1/%E1%9E%80/a%2Fb?x=%20&y=+", "/", "//", "/a//b/", "*", "http://a/b"})
    seeds.push_back(bytes_of(text));
  return seeds;
}

}  // namespace fieldpost::fuzz
