// What the programs say of a command line that cannot be read: which word, and whose --help teaches it.
//
// Thread rule: free functions. Templates over the library's types, which only the programs know.
#pragma once

#include <string>
#include <string_view>

namespace fieldpost {

/// The command that the words name, as far as they name one: "fieldpost-hub backup setup".
template <class App>
std::string command_named(const App& app, std::string program) {
  const App* at = &app;
  for (auto named = at->get_subcommands(); !named.empty(); named = at->get_subcommands()) {
    at = named.front();
    program += " " + at->get_name();
  }
  return program;
}

/// One sentence on why `app` could not parse its words, with the command whose --help says how it goes. It repeats
/// what was typed: to be made harmless for a terminal by whoever prints it.
template <class App, class ParseError>
std::string usage_fault(const App& app, const std::string& program, const ParseError& error) {
  const App* at = &app;
  for (auto named = at->get_subcommands(); !named.empty(); named = at->get_subcommands())
    at = named.front();
  const auto rest = app.remaining(true);
  const auto commands = at->get_subcommands([](const App*) { return true; });
  const std::string_view kind = error.get_name();
  std::string what = error.what();
  constexpr std::string_view kNotConverted = "Could not convert: ";
  if (!commands.empty() && !rest.empty() && !rest.front().starts_with('-')) {
    // A command that does not exist counts as none for the library.
    what = "there is no command '" + rest.front() + "'";
  } else if (kind == "RequiredError" && !commands.empty() &&
             what.find("subcommand") != std::string::npos) {
    what = "say what to do:";
    for (const App* command : commands)
      what += (command == commands.front() ? " " : ", ") + command->get_name();
  } else if (what.starts_with(kNotConverted)) {
    what = what.substr(kNotConverted.size()) + " is not a number that it takes";
  }
  return what + ". '" + command_named(app, program) + " --help' shows how it goes.";
}

}  // namespace fieldpost
