#include <exception>
#include <iostream>

#include "agent/cli/session.h"

int main(int argc, char** argv) {
  try {
    return fieldpost::agent::run_cli(argc, argv);
  } catch (const std::exception& error) {  // bad_alloc and the like: the one place that catches
    std::cerr << "fieldpost-agent: stopped: " << error.what() << '\n';
    return 1;
  }
}
