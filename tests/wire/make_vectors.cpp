// Writes schemas/vectors anew: make_vectors FOLDER. Built, never run by tests: v1 vectors change only
// with a reason that the commit states.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "crypto/crypto.h"
#include "tests/wire/golden.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_vectors FOLDER\n";
    return 2;
  }
  if (!fieldpost::crypto::init()) return 1;
  for (const auto& [name, content] : fieldpost::test::golden_vectors()) {
    const auto path = std::filesystem::path(argv[1]) / (name + ".json");
    std::ofstream out(path);
    if (!(out << content.dump(1) << "\n")) {
      std::cerr << "cannot write " << path << "; does the folder exist?\n";
      return 1;
    }
    std::cout << path.string() << "\n";
  }
}
