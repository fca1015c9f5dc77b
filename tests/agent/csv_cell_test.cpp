#include "agent/cli/csv_cell.h"

#include "agent/cli/session.h"
#include "tests/support/catch.h"

using namespace fieldpost;

TEST_CASE("an exported cell is never a formula") {
  CHECK(agent::csv_cell("=1+1") == "\"'=1+1\"");
  CHECK(agent::csv_cell("@SUM(A1)") == "\"'@SUM(A1)\"");
  CHECK(agent::csv_cell("+855 12") == "\"'+855 12\"");
  CHECK(agent::csv_cell("-2+3") == "\"'-2+3\"");
  CHECK(agent::csv_cell("\t=1") == "\"'\t=1\"");
}

TEST_CASE("numbers and plain text stay as they are, quotes are doubled") {
  CHECK(agent::csv_cell("-1025490000") == "\"-1025490000\"");
  CHECK(agent::csv_cell("-") == "\"'-\"");
  CHECK(agent::csv_cell("សុខ \"ដារ៉ា\"") == "\"សុខ \"\"ដារ៉ា\"\"\"");
  CHECK(agent::csv_cell("") == "\"\"");
}

TEST_CASE("what a record holds cannot steer the terminal") {
  CHECK(agent::printable("a\x1b[2Jb") == "a\xEF\xBF\xBD[2Jb");
  CHECK(agent::printable("a\xC2\x9B"
                         "31mb") ==
        "a\xEF\xBF\xBD"
        "31mb");
  CHECK(agent::printable("សុខ") == "សុខ");
}
