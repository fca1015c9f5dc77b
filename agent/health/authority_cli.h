// The program fieldpost-health: the health authority's side, on its own machine, without a hub.
//
// Thread rule: main's only thread.
#pragma once

namespace fieldpost::agent {

int run_health_cli(int argc, char** argv);

}  // namespace fieldpost::agent
