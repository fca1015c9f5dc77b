// No memory: every allocation of decoding, merging and storing fails in turn, each in a program that lives on.
//
// Of decoding and merging: std::bad_alloc comes out, nothing is lost or leaked, what was there is as it was, and
// the same call works once there is memory. Of storing: the operation took place whole or not at all, and what the
// store remembers agrees with its disk.
#include <fstream>
#include <iostream>
#include <new>
#include <stdexcept>
#include <sys/stat.h>

#include "tests/crash/memory.h"
#include "tests/crash/trial.h"
#include "tests/support/history.h"
#include "tests/support/temp_dir.h"
#include "tests/wire/random_values.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace {

using namespace fieldpost;
using namespace fieldpost::crash;

using Wrong = std::optional<std::string>;

/// `act` is done again and again, with one allocation more each time until none fails. `failures`: how many did.
template <class Act>
Wrong exhaust(std::uint64_t& failures, Act act) {
  for (std::uint64_t number = 1;; ++number) {
    const std::int64_t before = live_allocations();
    bool failed = false;
    try {
      fail_allocation(number);
      act();
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    const bool met = allocations() >= number;
    fail_allocation(0);
    const std::int64_t leaked = failed ? live_allocations() - before : 0;
    const auto at = [&] { return "allocation " + std::to_string(number) + ": "; };
    if (!failed) return met ? Wrong(at() + "its failure was swallowed") : std::nullopt;
    ++failures;
    if (leaked != 0) return at() + std::to_string(leaked) + " pieces of memory leaked";
  }
}

class Memory {
 public:
  Memory(const Options& options, Account& account)
      : options_(options), account_(account), shared_(*Shared::make()) {}

  /// One case: in a child, since what must not happen may be its end.
  void trial(const std::string& kind, std::size_t number,
             const std::function<Wrong(std::uint64_t& failures)>& body) {
    const std::string name = "memory/" + kind + "/" + std::to_string(number);
    if (!options_.wants(name)) return;
    const Ended ended = in_child(
        shared_,
        [&] {
          const Wrong wrong = body(shared_.calls);
          if (wrong) shared_.say(*wrong);
          return wrong ? 1 : 0;
        },
        600);
    account_.count("memory." + kind, shared_.calls);
    if (ended.signal != 0 || ended.code != 0) account_.violation(name, words_of(ended, shared_));
  }

  // ---- decoding and encoding ----
  void codecs(std::size_t seed) {
    test::Random random(seed);
    const model::Change change = random.change();
    const Bytes change_bytes = wire::encode_change(change).value();
    const model::Record record = random.record();
    const Bytes record_bytes = wire::encode_record(record).value();
    const wire::Message message = random.message();
    const Bytes message_bytes = wire::encode_message(message);
    trial("decode-change", seed, [&](std::uint64_t& failures) {
      return same(
          failures, [&] { return wire::decode_change(change.dot.actor, change_bytes).value(); },
          change);
    });
    trial("decode-record", seed, [&](std::uint64_t& failures) {
      return same(
          failures, [&] { return wire::decode_record(record_bytes).value(); }, record);
    });
    trial("decode-message", seed, [&](std::uint64_t& failures) {
      return same(
          failures, [&] { return wire::decode_message(message_bytes).value().message; }, message);
    });
    trial("encode", seed, [&](std::uint64_t& failures) {
      if (auto wrong = same(
              failures, [&] { return wire::encode_change(change).value(); }, change_bytes))
        return wrong;
      if (auto wrong = same(
              failures, [&] { return wire::encode_record(record).value(); }, record_bytes))
        return wrong;
      return same(
          failures, [&] { return wire::encode_message(message); }, message_bytes);
    });
    // Cut bytes: the error itself takes memory.
    trial("decode-cut", seed, [&](std::uint64_t& failures) {
      for (std::size_t size = 0; size < message_bytes.size();
           size += 1 + message_bytes.size() / 8) {
        const BytesView cut = BytesView(message_bytes).first(size);
        if (auto wrong = same(
                failures, [&] { return wire::decode_message(cut).has_value(); }, false))
          return wrong;
      }
      return Wrong{};
    });
    trial("frame", seed, [&](std::uint64_t& failures) {
      wire::Compressor compressor(wire::Dictionary::v1());
      const Bytes frame = compressor.encode_frame(message_bytes);
      // What the compressor keeps from call to call is made by the first call.
      (void)compressor.decode_frame(frame);
      return same(
          failures, [&] { return compressor.decode_frame(frame).value(); }, message_bytes);
    });
  }

  // ---- merging ----
  void merging(std::size_t seed) {
    const test::History history = test::play(test::make_script(seed, 40));
    if (history.changes.empty()) return;
    test::Dice dice(seed);
    const model::Change& first = history.changes.front();
    const auto empty = [&] { return model::empty_record(first.record, first.type, first.unit); };
    const auto of = [&](test::Mask mask) {
      model::Record record = empty();
      for (const std::size_t i : test::random_admissible_order(history, mask, dice))
        model::apply(record, history.changes[i]);
      return record;
    };
    trial("apply", seed, [&](std::uint64_t& failures) {
      model::Record record = empty();
      for (const std::size_t i : test::random_admissible_order(history, history.all(), dice)) {
        const model::Record before = record;
        model::Record after = record;
        model::apply(after, history.changes[i]);
        if (auto wrong = changes(failures, record, before, after,
                                 [&](model::Record& it) { model::apply(it, history.changes[i]); }))
          return wrong;
      }
      return Wrong{};
    });
    for (std::size_t pair = 0; pair < 4; ++pair) {
      const model::Record mine = of(test::random_knowledge(history, dice));
      const model::Record theirs = of(test::random_knowledge(history, dice));
      trial("join", seed * 4 + pair, [&](std::uint64_t& failures) {
        model::Record record = mine;
        model::Record after = mine;
        if (!model::join(after, theirs)) return Wrong("two records do not join");
        return changes(failures, record, mine, after, [&](model::Record& it) {
          if (!model::join(it, theirs)) throw std::logic_error("two records do not join");
        });
      });
    }
    trial("drain", seed,
          [&](std::uint64_t& failures) { return drained(failures, history, of(history.all())); });
  }

  // ---- storing ----
  void storing(const Subject& subject, std::size_t operations, std::size_t positions) {
    trial("store-" + subject.name(), operations, [&](std::uint64_t& failures) {
      const test::TempDir dir;
      const std::string watched = (dir / "store").string();
      const faulty_plan plan{watched.c_str(),       FAULTY_COUNT,   0, 0, -1,
                             &shared_.acknowledged, &shared_.struck};
      faulty_arm(&plan);
      return stored(failures, subject, watched, operations, positions);
    });
  }

 private:
  /// What `act` makes is `expected` whenever it makes something.
  template <class Act, class Expected>
  static Wrong same(std::uint64_t& failures, Act act, const Expected& expected) {
    bool equal = false;
    if (auto wrong = exhaust(failures, [&] { equal = act() == expected; })) return wrong;
    return equal ? Wrong{} : Wrong("after failures it makes something else");
  }

  /// `act` makes `after` of `record`, which is `before`, or leaves it so.
  template <class Act>
  static Wrong changes(std::uint64_t& failures, model::Record& record, const model::Record& before,
                       const model::Record& after, Act act) {
    // Memory that a record took ahead is no leak: each try has a record of its own.
    if (auto wrong = exhaust(failures, [&] {
          model::Record tried = before;
          try {
            act(tried);
          } catch (const std::bad_alloc&) {
            if (!(tried == before)) throw std::logic_error("the record was changed in part");
            throw;
          }
          if (!(tried == after)) throw std::logic_error("after failures it makes something else");
        }))
      return wrong;
    act(record);
    return record == after ? Wrong{} : Wrong("it makes something else");
  }

  static Wrong drained(std::uint64_t& failures, const test::History& history,
                       const model::Record& all) {
    const model::Change& first = history.changes.front();
    return exhaust(failures, [&] {
      model::Record record = model::empty_record(first.record, first.type, first.unit);
      std::vector<model::Change> waiting(history.changes.rbegin(), history.changes.rend());
      try {
        (void)model::drain(record, waiting);
      } catch (const std::bad_alloc&) {
        fail_allocation(0);
        (void)model::drain(record, waiting);
        if (!(record == all) || !waiting.empty())
          throw std::logic_error("drained again it is not whole");
        throw;
      }
      if (!(record == all) || !waiting.empty()) throw std::logic_error("it is not whole");
    });
  }

  /// Each operation with `positions` of its allocations failing, spread over all of them, until it has taken place.
  Wrong stored(std::uint64_t& failures, const Subject& subject, const fs::path& folder,
               std::size_t operations, std::size_t positions) {
    if (const Status made = subject.make(folder); !made) return made.error().message();
    auto session = subject.open(folder, kFirstStart);
    if (!session) return session.error().message();
    std::uint64_t expected = 0;
    for (std::size_t number = kFirstStart + 1; number < operations; ++number) {
      const auto before = (*session)->pictures().value();
      std::uint64_t step = 1;
      bool done = false;
      for (std::uint64_t at = 1; !done; at += step) {
        bool failed = false;
        try {
          fail_allocation(at);
          const auto made = (*session)->act(number);
          fail_allocation(0);
          if (!made) return "operation " + std::to_string(number) + ": " + made.error().message();
          done = true;
        } catch (const std::bad_alloc&) {
          fail_allocation(0);
          failed = true;
        }
        failures += failed ? 1 : 0;
        if (at > 8) step = 1 + at / positions * 8;
        // What took place before the failure is there whole; the same again would be another operation.
        if (failed && (*session)->pictures().value() != before) done = true;
      }
      if (auto wrong = (*session)->fault())
        return "operation " + std::to_string(number) + ": " + *wrong;
      const auto now = (*session)->changes();
      if (!now || *now < expected)
        return "operation " + std::to_string(number) + ": changes are missing";
      expected = *now;
    }
    session->reset();
    session = subject.open(folder, kBeyond);
    if (!session) return "it does not open again: " + session.error().message();
    if ((*session)->changes().value() != expected)
      return Wrong("opened again it has other changes");
    return (*session)->fault();
  }

  const Options& options_;
  Account& account_;
  Shared& shared_;
};

int run(int argc, char** argv) {
  Options options;
  std::string json;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick")
      options.quick = true;
    else if (argument == "--only" && i + 1 < argc)
      options.only = argv[++i];
    else if (argument == "--json" && i + 1 < argc)
      json = argv[++i];
    else
      throw std::invalid_argument("usage: fieldpost-oom [--quick] [--only TRIAL] [--json FILE]");
  }
  Account account(options.quick ? "--quick " : "");
  Memory memory(options, account);
  const std::size_t seeds = options.quick ? 40 : 1000;
  for (std::size_t seed = 0; seed < seeds; ++seed) {
    account.progress("memory, seeds", seed, seeds);
    memory.codecs(seed);
    if (seed % 4 == 0) memory.merging(seed);
  }
  const std::size_t operations = options.quick ? 24 : 120;
  memory.storing(*agent_subject(false), operations, options.quick ? 64 : 512);
  memory.storing(*hub_subject(), operations, options.quick ? 64 : 512);
  for (const auto& [what, times] : account.counts())
    std::printf("%-28s %llu\n", what.c_str(), static_cast<unsigned long long>(times));
  std::printf("%-28s %zu\n", "violations", account.violations().size());
  if (!json.empty()) std::ofstream(json) << account.json();
  return account.violations().empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  ::umask(077);
  prefer_memory();
  if (!crypto::init()) return 2;
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "fieldpost-oom: " << error.what() << '\n';
    return 2;
  }
}
