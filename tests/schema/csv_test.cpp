#include "schema/csv.h"

#include "tests/support/catch.h"

using namespace fieldpost;
using namespace fieldpost::schema;

namespace {

/// "line:cell|cell" for each record, "line!rule" for a broken one.
std::vector<std::string> read(std::string_view text) {
  CsvReader reader(as_bytes(text));
  std::vector<std::string> out;
  while (auto record = reader.next()) {
    std::string line = std::to_string(record->line);
    if (!record->problem.empty()) {
      out.push_back(line + "!" + record->problem);
      continue;
    }
    for (std::size_t i = 0; i < record->cells.size(); ++i)
      line += (i == 0 ? ":" : "|") + record->cells[i];
    for (std::size_t bad : record->bad_utf8) line += " bad" + std::to_string(bad);
    out.push_back(line);
  }
  return out;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("records end where RFC 4180 says, with the leniencies of field files") {
  CHECK(read("").empty());
  CHECK(read("\xEF\xBB\xBF").empty());
  CHECK(read("a,b") == Lines{"1:a|b"});
  CHECK(read("a,b\n") == Lines{"1:a|b"});
  CHECK(read("\xEF\xBB\xBF"
             "a,b\r\nc,d\r\n") == Lines{"1:a|b", "2:c|d"});
  CHECK(read("a,\n,b\n,\n") == Lines{"1:a|", "2:|b"});
  CHECK(read("a\n\n  \n\"\"\nb") == Lines{"1:a", "5:b"});
  CHECK(read("\"a,b\",\"c\"\"d\"\n") == Lines{"1:a,b|c\"d"});
  CHECK(read("\"a\nb\",c\nd\n") == Lines{"1:a\nb|c", "3:d"});
  CHECK(read("\"a\r\nb\"\r\nd") == Lines{"1:a\nb", "3:d"});
  CHECK(read(" \"a\" , b \n") == Lines{"1:a|b"});
  CHECK(read("a\"b,4\" plate\n") == Lines{"1:a\"b|4\" plate"});
  CHECK(read("\xC2\xA0 a \xE2\x80\x8B,b") == Lines{"1:a|b"});
  CHECK(read("a,\"\"\"\"") == Lines{"1:a|\""});
}

TEST_CASE("a bad line never swallows the next ones") {
  CHECK(read("a\n\"open,b\nc\nd\n") == Lines{"1:a", "2!csv.quote", "3:c", "4:d"});
  CHECK(read("a\n\"x\"y,b\nc") == Lines{"1:a", "2!csv.quote", "3:c"});
  CHECK(read("\"") == Lines{"1!csv.quote"});
  CHECK(read("a\n" + std::string(20'000, 'x') + "\nc") == Lines{"1:a", "2!csv.too_large", "3:c"});
  CHECK(read("a\n" + std::string(2'000, ',') + "\nc") == Lines{"1:a", "2!csv.too_large", "3:c"});
  std::string long_open = "a\n\"";
  for (int i = 0; i < 5'000; ++i) long_open += "0123456789\n";
  const auto lines = read(long_open);
  CHECK(lines[1] == "2!csv.too_large");
  CHECK(lines.size() == 5'001);
}

TEST_CASE("cells that are not UTF-8 are named one by one") {
  CHECK(read("a,\xFF,c\nd") == Lines{"1:a|\xFF|c bad1", "2:d"});
  CHECK(read("\"\xE1\x9E\",\xC0\x80\n") == Lines{"1:\xE1\x9E|\xC0\x80 bad0 bad1"});
}

TEST_CASE("any bytes at all are read to their end") {
  const std::string alphabet = "a,\"\n\r \xFF\xE1";
  std::uint32_t seed = 7;
  for (int round = 0; round < 3'000; ++round) {
    std::string text;
    for (int i = 0; i < round % 40; ++i) {
      seed = seed * 1664525 + 1013904223;
      text += alphabet[(seed >> 16) % alphabet.size()];
    }
    std::size_t last = 0;
    CsvReader reader(as_bytes(text));
    while (auto record = reader.next()) {
      CHECK(record->line > last);
      last = record->line;
    }
    CHECK(last <= text.size() + 1);
  }
}
