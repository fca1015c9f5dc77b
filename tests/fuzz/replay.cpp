// Runs fuzz targets over their corpora and cases, without libFuzzer; also lists targets and writes seeds.
//
//   PROGRAM --list                    name, longest input, largest allocation (MB), derived inputs of each target
//   PROGRAM --seeds FOLDER            FOLDER/TARGET/NNN: what fuzzing begins with
//   PROGRAM --unpack FILE FOLDER      the inputs of a corpus, a file each
//   PROGRAM --run TARGET FILE…        one target over these inputs
//   PROGRAM                           every target over tests/fuzz/corpus and tests/fuzz/cases
//
// A corpus is one file, an input a line in hexadecimal.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "crypto/crypto.h"
#include "tests/fuzz/fuzz.h"

namespace fs = std::filesystem;
using fieldpost::Bytes;
using fieldpost::fuzz::Target;

namespace {

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(2);
}

Bytes content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) give_up("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Bytes> corpus(const fs::path& path) {
  std::vector<Bytes> inputs;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    auto bytes = fieldpost::from_hex(line);
    if (!bytes) give_up(path.string() + ": a line is not hexadecimal");
    inputs.push_back(*std::move(bytes));
  }
  return inputs;
}

std::string number(std::size_t n) {
  char text[16];
  std::snprintf(text, sizeof text, "%05zu", n);
  return text;
}

void write(const fs::path& folder, const std::vector<Bytes>& inputs) {
  fs::create_directories(folder);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::ofstream out(folder / number(i), std::ios::binary);
    out.write(reinterpret_cast<const char*>(inputs[i].data()),
              static_cast<std::streamsize>(inputs[i].size()));
    if (!out) give_up("cannot write into " + folder.string());
  }
}

/// The input under way, told when it ends the program.
std::string under_way;

void tell_input(int) {
  std::fprintf(stderr, "replay: %s\n", under_way.c_str());
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

std::size_t replay(const Target& target) {
  const fs::path here = fs::path(FIELDPOST_SOURCE_DIR) / "tests/fuzz";
  std::size_t inputs = 0;
  const auto run = [&](const Bytes& input, const std::string& what) {
    under_way = target.name + " over " + what;
    fieldpost::fuzz::run(target, input);
    ++inputs;
  };
  const auto known = corpus(here / "corpus" / (target.name + ".hex"));
  for (std::size_t i = 0; i < known.size(); ++i)
    run(known[i], "line " + std::to_string(i + 1) + " of its corpus");
  if (fs::exists(here / "cases" / target.name)) {
    for (const auto& entry : fs::directory_iterator(here / "cases" / target.name))
      run(content(entry.path()), "case " + entry.path().filename().string());
  }
  return inputs;
}

}  // namespace

int main(int argc, char** argv) {
  if (!fieldpost::crypto::init()) return 2;
  const std::vector<Target> all = fieldpost::fuzz::targets();
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string verb = words.empty() ? "" : words[0];
  std::signal(SIGABRT, tell_input);
  if (verb == "--list") {
    for (const Target& target : all)
      std::printf("%s %zu %zu %zu\n", target.name.c_str(), target.bytes_max,
                  target.allocation_mb_max, target.derived);
  } else if (verb == "--seeds" && words.size() == 2) {
    for (const Target& target : all) write(fs::path(words[1]) / target.name, target.seeds());
  } else if (verb == "--unpack" && words.size() == 3) {
    write(words[2], corpus(words[1]));
  } else if (verb == "--run" && words.size() >= 2) {
    for (const Target& target : all) {
      if (target.name != words[1]) continue;
      for (std::size_t i = 2; i < words.size(); ++i) {
        under_way = target.name + " over " + words[i];
        fieldpost::fuzz::run(target, content(words[i]));
      }
    }
  } else if (verb.empty()) {
    for (const Target& target : all) {
      const std::size_t inputs = replay(target);
      if (inputs == 0) give_up("target " + target.name + " has no corpus: scripts/fuzz makes one");
      std::printf("%-28s %6zu inputs\n", target.name.c_str(), inputs);
    }
  } else {
    give_up("usage: --list, --seeds FOLDER, --unpack FILE FOLDER, --run TARGET FILE…, or nothing");
  }
  return 0;
}
