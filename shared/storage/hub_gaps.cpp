#include "storage/hub_gaps.h"

#include "storage/hub_tables.h"

namespace fieldpost::storage {

using namespace hub_tables;

Result<std::vector<StoredGap>> read_gaps(const KvRead& read, ActorId actor) {
  std::vector<StoredGap> gaps;
  FP_CHECK_OK(read.scan(kGaps, Packer().actor(actor).bytes(), {},
                        [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                          StoredGap stored;
                          Unpacker name(key);
                          stored.gap.actor = name.actor();
                          stored.gap.from = name.seq();
                          FP_CHECK_OK(name.finish("gap's key"));
                          Unpacker in(value);
                          stored.gap.to = in.seq();
                          stored.gap.hash = in.id<Hash>();
                          stored.gap.signature = in.id<crypto::Signature>();
                          stored.received = Instant{in.i64()};
                          FP_CHECK_OK(in.finish("gap"));
                          gaps.push_back(stored);
                          return KvRead::Step::more;
                        }));
  return gaps;
}

Status put_gap(KvWrite& write, const IncomingBatch& batch, ActorHeadState& head) {
  const wire::Gap& gap = *batch.gap;
  FP_CHECK_OK(write.put(
      kGaps, dot_key(batch.actor, gap.from),
      Packer().seq(gap.to).id(gap.hash).id(gap.signature).i64(batch.received.ms).bytes()));
  head.head = gap.to;
  head.hash = gap.hash;
  return write.put(kActors, Packer().actor(batch.actor).bytes(), pack_actor(head));
}

}  // namespace fieldpost::storage
