#include "schema/pattern.h"

#include <charconv>

namespace fieldpost::schema {

namespace {

// Far above what a sane text of 16 KiB needs with patterns that are bounded by construction.
constexpr std::uint32_t kStepsMax = 200'000;
constexpr std::size_t kRepeatMax = 1000;
constexpr std::size_t kProgramMax = 4096;
constexpr int kGroupDepthMax = 4;

}  // namespace

/// Recursive descent over the source; emits the program as it goes. A repeated group is emitted
/// again for each repetition, which is why repetitions are bounded.
class PatternCompiler {
 public:
  explicit PatternCompiler(std::string_view source) : text_(source) { pattern_.source_ = source; }

  Result<Pattern> compile() {
    if (text_.size() < 2 || text_.front() != '^' || text_.back() != '$') {
      return refuse("it must begin with ^ and end with $");
    }
    text_ = text_.substr(1, text_.size() - 2);
    if (!sequence(0)) return refuse(error_);
    if (at_ != text_.size()) return refuse("unexpected '" + std::string(1, text_[at_]) + "'");
    emit({Pattern::Op::match, 0, 0, 0});
    if (pattern_.program_.size() > kProgramMax) return refuse("it is too long");
    return std::move(pattern_);
  }

 private:
  struct Times {
    std::size_t low = 1;
    std::size_t high = 1;
  };

  Error refuse(const std::string& why) {
    return fail(Errc::unsupported, "pattern " + pattern_.source_ + ": " + why);
  }
  bool wrong(std::string why) {
    if (error_.empty()) error_ = std::move(why);
    return false;
  }
  std::size_t emit(Pattern::Instruction instruction) {
    pattern_.program_.push_back(instruction);
    return pattern_.program_.size() - 1;
  }
  std::uint16_t here() const { return static_cast<std::uint16_t>(pattern_.program_.size()); }
  bool more() const { return at_ < text_.size(); }

  bool sequence(int depth) {
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      if (pattern_.program_.size() > kProgramMax) return wrong("it is too long");
      if (!(text_[at_] == '(' ? group(depth) : atom())) return false;
    }
    return true;
  }

  bool atom() {
    Pattern::Set set{};
    if (!(text_[at_] == '[' ? char_class(set) : literal(set))) return false;
    Times times;
    if (!quantifier(times)) return false;
    pattern_.sets_.push_back(set);
    emit({Pattern::Op::run, static_cast<std::uint16_t>(pattern_.sets_.size() - 1),
          static_cast<std::uint16_t>(times.low), static_cast<std::uint16_t>(times.high)});
    return true;
  }

  bool literal(Pattern::Set& set) {
    char c = text_[at_++];
    if (c == '\\') {
      if (!more()) return wrong("a backslash ends it");
      c = text_[at_++];
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
        return wrong(std::string("\\") + c + " means different things in different engines");
      }
    } else if (std::string_view(".*+?{}]^$").find(c) != std::string_view::npos) {
      return wrong(std::string("'") + c + "' is outside the subset");
    }
    if (static_cast<unsigned char>(c) >= 128) return wrong("only ASCII");
    set[static_cast<std::size_t>(c)] = true;
    return true;
  }

  bool char_class(Pattern::Set& set) {
    ++at_;
    if (more() && text_[at_] == '^') return wrong("negated classes are outside the subset");
    while (more() && text_[at_] != ']') {
      char first = text_[at_++];
      if (first == '\\') return wrong("no backslash in a class");
      char last = first;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        last = text_[at_ + 1];
        at_ += 2;
      }
      if (static_cast<unsigned char>(first) >= 128 || static_cast<unsigned char>(last) >= 128 ||
          first > last) {
        return wrong("a class has only ASCII ranges");
      }
      for (auto c = static_cast<unsigned char>(first); c <= static_cast<unsigned char>(last); ++c)
        set[c] = true;
    }
    if (!more()) return wrong("a class is not closed");
    ++at_;
    return true;
  }

  bool quantifier(Times& times) {
    if (!more()) return true;
    if (text_[at_] == '?') {
      ++at_;
      times.low = 0;
      return true;
    }
    if (text_[at_] != '{') return true;
    ++at_;
    if (!number(times.low)) return false;
    times.high = times.low;
    if (more() && text_[at_] == ',') {
      ++at_;
      if (!number(times.high)) return false;
    }
    if (!more() || text_[at_] != '}') return wrong("{ is not closed");
    ++at_;
    if (times.low > times.high || times.high > kRepeatMax) return wrong("{m,n} is out of range");
    return true;
  }

  bool number(std::size_t& value) {
    const char* begin = text_.data() + at_;
    const auto [end, code] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (code != std::errc{}) return wrong("{m,n} needs numbers");
    at_ += static_cast<std::size_t>(end - begin);
    return true;
  }

  /// '(' alternatives ')' quantifier. The source of the group is compiled once for each repetition.
  bool group(int depth) {
    if (depth >= kGroupDepthMax) return wrong("groups are nested too deep");
    const std::size_t begin = ++at_;
    const std::size_t end = closing(begin);
    if (end == std::string_view::npos) return wrong("a group is not closed");
    if (more() && text_[at_] == '?') return wrong("(? is outside the subset");
    at_ = end + 1;
    Times times;
    if (!quantifier(times)) return false;
    const std::size_t after = at_;
    std::vector<std::size_t> optional;
    for (std::size_t i = 0; i < times.high; ++i) {
      if (pattern_.program_.size() > kProgramMax) return wrong("it is too long");
      if (i >= times.low) {
        optional.push_back(
            emit({Pattern::Op::split, 0, static_cast<std::uint16_t>(here() + 1), 0}));
      }
      at_ = begin;
      if (!alternatives(depth + 1)) return false;
      if (at_ != end) return wrong("a group is not closed");
    }
    for (std::size_t index : optional) pattern_.program_[index].high = here();
    at_ = after;
    return true;
  }

  std::size_t closing(std::size_t from) const {
    int open = 1;
    bool in_class = false;
    for (std::size_t i = from; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (in_class) {
        in_class = text_[i] != ']';
      } else if (text_[i] == '[') {
        in_class = true;
      } else if (text_[i] == '(') {
        ++open;
      } else if (text_[i] == ')' && --open == 0) {
        return i;
      }
    }
    return std::string_view::npos;
  }

  bool alternatives(int depth) {
    std::vector<std::size_t> jumps;
    for (;;) {
      const std::size_t split =
          emit({Pattern::Op::split, 0, static_cast<std::uint16_t>(here() + 1), 0});
      if (!sequence(depth)) return false;
      const bool last = !more() || text_[at_] != '|';
      if (!last) {
        jumps.push_back(emit({Pattern::Op::jump, 0, 0, 0}));
        ++at_;
      }
      // The last alternative has nothing to fall back to: its split prefers and falls to itself.
      pattern_.program_[split].high =
          last ? pattern_.program_[split].low : static_cast<std::uint16_t>(here());
      if (last) break;
    }
    for (std::size_t index : jumps) pattern_.program_[index].high = here();
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string error_;
  Pattern pattern_;
};

Result<Pattern> Pattern::compile(std::string_view source) {
  return PatternCompiler(source).compile();
}

bool Pattern::run(std::size_t pc, std::size_t at, std::string_view text,
                  std::uint32_t& steps) const {
  for (;;) {
    if (++steps > kStepsMax) return false;
    const Instruction& i = program_[pc];
    switch (i.op) {
      case Op::match:
        return at == text.size();
      case Op::jump:
        pc = i.high;
        continue;
      case Op::split:
        if (i.low != i.high && run(i.low, at, text, steps)) return true;
        pc = i.high;
        continue;
      case Op::run: {
        const Set& set = sets_[i.set];
        std::size_t count = 0;
        while (count < i.high && at + count < text.size()) {
          const auto c = static_cast<unsigned char>(text[at + count]);
          if (c >= 128 || !set[c]) break;
          ++count;
        }
        if (count < i.low) return false;
        for (; count > i.low; --count) {
          if (run(pc + 1, at + count, text, steps)) return true;
        }
        at += count;
        ++pc;
        continue;
      }
    }
  }
}

std::optional<std::size_t> Pattern::fixed_length() const {
  std::size_t length = 0;
  for (const Instruction& instruction : program_) {
    if (instruction.op == Op::match) return length;
    if (instruction.op != Op::run || instruction.low != instruction.high) return std::nullopt;
    length += instruction.low;
  }
  return std::nullopt;
}

bool Pattern::matches(std::string_view text) const {
  std::uint32_t steps = 0;
  return run(0, 0, text, steps);
}

}  // namespace fieldpost::schema
