#include <exception>
#include <iostream>

#include "agent/health/authority_cli.h"

int main(int argc, char** argv) {
  try {
    return fieldpost::agent::run_health_cli(argc, argv);
  } catch (const std::exception& error) {  // bad_alloc and the like: the one place that catches
    std::cerr << "fieldpost-health: stopped: " << error.what() << '\n';
    return 1;
  }
}
