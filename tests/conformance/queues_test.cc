// SPDX-License-Identifier: Apache-2.0
// Queues: association with its refusals, and that an overflow loses nothing but messages.
#include "tests/conformance/suite.h"

namespace corral::conformance {
namespace {

class Queues : public ConformanceTest {
 protected:
  static constexpr QueueId kFirst{1}, kSecond{2};
};

TEST_F(Queues, AssociationTellsWhatWasBefore) {
  const Member task = NewTask(NewDomain());
  absl::StatusOr<Association> was = agent_->Associate(task.gtid, Word(task.gtid).barrier, kSecond);
  ASSERT_TRUE(was.ok()) << was.status();
  EXPECT_TRUE(was->brand_new);
  EXPECT_FALSE(was->already);
  EXPECT_EQ(Word(task.gtid).queue, kSecond.value());
  was = agent_->Associate(task.gtid, Word(task.gtid).barrier, kSecond);
  ASSERT_TRUE(was.ok()) << was.status();
  EXPECT_FALSE(was->brand_new);
  EXPECT_TRUE(was->already);
}

TEST_F(Queues, AssociationIsRefusedWhenTheBarrierMovedOn) {
  const Member task = NewTask(NewDomain());
  const uint64_t old = Word(task.gtid).barrier;
  task.thread->Spin();
  Await(task.gtid, GHOST_MSG_TASK_WAKEUP);
  EXPECT_TRUE(absl::IsAborted(agent_->Associate(task.gtid, old, kSecond).status()));
}

TEST_F(Queues, AssociationOfWhatIsNotThereIsRefused) {
  const Member task = NewTask(NewDomain());
  EXPECT_TRUE(absl::IsNotFound(agent_->Associate(Gtid(GHOST_GTID(3, 999)), 1, kSecond).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      agent_->Associate(task.gtid, Word(task.gtid).barrier, QueueId(4096)).status()));
}

TEST_F(Queues, AQueueOfAnotherEnclaveIsNotForUs) {
  const Member task = NewTask(NewDomain());
  EXPECT_FALSE(agent_->OpenQueue(QueueId(kForeignCore.value())).ok());
  EXPECT_FALSE(
      agent_->Associate(task.gtid, Word(task.gtid).barrier, QueueId(kForeignCore.value())).ok());
}

TEST_F(Queues, AfterAnOverflowTheStatusWordsKnow) {
  const Member task = NewRunnableTask(NewDomain());
  // Its own queue, which nobody reads meanwhile.
  ASSERT_TRUE(agent_->Associate(task.gtid, Word(task.gtid).barrier, kFirst).ok());
  absl::StatusOr<std::unique_ptr<MessageQueue>> queue = agent_->OpenQueue(kFirst);
  ASSERT_TRUE(queue.ok()) << queue.status();
  const uint64_t before = (*queue)->overflows();
  uint32_t weight = 1;
  while ((*queue)->overflows() == before && weight < 200000)
    ASSERT_TRUE(control().UpdateTask(task.gtid, {.weight = weight++}).ok());
  EXPECT_GT((*queue)->overflows(), before);
  EXPECT_EQ(Word(task.gtid).weight, weight - 1);
  // It goes on, from the status word.
  RunNow(kCore, {Run(task)});
}

}  // namespace
}  // namespace corral::conformance
