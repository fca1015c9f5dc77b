// The parts of compile_form: nodes, then leaves, then rules.
//
// Thread rule: one compilation belongs to one thread.
#pragma once

#include <map>
#include <string>

#include "schema/node.h"

namespace fieldpost::schema {

/// Keywords to Nodes. Refuses every keyword outside the subset.
class NodeCompiler {
 public:
  NodeCompiler(std::string file, const nlohmann::json& root, FormData& data)
      : file_(std::move(file)), root_(root), data_(data) {}

  Result<const Node*> compile(const nlohmann::json& schema, const std::string& place);
  Error refuse(const std::string& place, const std::string& why) const;

 private:
  Result<const Node*> reference(const nlohmann::json& schema, const std::string& place);
  Status leaf_keywords(const nlohmann::json& schema, const std::string& place, Node& node);
  Status object_keywords(const nlohmann::json& schema, const std::string& place, Node& node);
  Status combinations(const nlohmann::json& schema, const std::string& place, Node& node);

  std::string file_;
  const nlohmann::json& root_;
  FormData& data_;
  std::map<std::string, const Node*, std::less<>> compiled_;  ///< nullptr while in work
};

/// Properties to Fields and Containers, x-rules to Rules.
class FieldCompiler {
 public:
  FieldCompiler(NodeCompiler& nodes, const nlohmann::json& root, FormData& data)
      : nodes_(nodes), root_(root), data_(data) {}

  Status fields();
  Status rules();

 private:
  /// The schema with its $ref followed and the annotations beside the $ref on top.
  nlohmann::json resolved(const nlohmann::json& schema) const;
  Status property(const std::string& container, bool in_repeat, const std::string& name,
                  const nlohmann::json& raw);
  Status leaf(const std::string& container, bool in_repeat, const std::string& name,
              const nlohmann::json& schema, const nlohmann::json& raw);
  Status annotations(const nlohmann::json& schema, const std::string& place, Field& field);
  Result<std::vector<Condition>> conditions(const nlohmann::json& schema, std::string_view key,
                                            const std::string& place) const;
  Result<Rule> rule(const nlohmann::json& raw);
  enum class PathUse : std::uint8_t {
    one,
    spread,
    repeat
  };  ///< one value, those of all items, a repeat
  Result<RulePath> rule_path(const nlohmann::json& raw, const Rule& rule, PathUse use);

  NodeCompiler& nodes_;
  const nlohmann::json& root_;
  FormData& data_;
  std::map<std::string, const Band*, std::less<>> bands_;  ///< by index key
};

}  // namespace fieldpost::schema
