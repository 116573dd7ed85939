#include "supervisor/broker_link.h"

#include <gtest/gtest.h>

#include <optional>

#include "channel/endpoint.h"

namespace postern::supervisor {
namespace {

using namespace std::chrono_literals;

// A broker that does what its first argument says, on the control socket.
constexpr const char* kBroker = R"py(
import array, os, socket, struct, sys
READY, START_FAILED, BIND, CLOSED, DROP, PING, PONG, USAGE, BIND_FAILED, EVENT = 1, 2, 6, 7, 8, 9, 10, 16, 18, 19
control = socket.socket(fileno=3)
def send(number, id=0, a=0, b=0, payload=b""):
    control.send(struct.pack("<IIQqq", number, len(payload), id, a, b) + payload)
def usage(requests):
    return b'{"requests":%d,"denied":0,"bytesIn":0,"bytesOut":0,"errors":{}}' % requests
role = sys.argv[1]
if role == "cannot start":
    send(START_FAILED, a=1, payload=b"no such file")
    sys.exit(125)
send(READY, payload=b'{"on":["seccomp"],"missing":[]}')
if role == "nonsense":
    send(CLOSED, 1, payload=b"{}")
while True:
    data, _, _, _ = control.recvmsg(1 << 17, 1024)
    if not data:
        break
    number, size, id = struct.unpack_from("<IIQ", data)
    if number == BIND and role == "dies":
        os._exit(1)
    if number == BIND and role == "refuses":
        send(BIND_FAILED, id, payload=b"the policy is none")
    if number == BIND and role in ("serves", "deaf"):
        send(USAGE, id, payload=usage(1))
        send(EVENT, id, b=2, payload=data[-size:])
    if number == PING and role != "deaf":
        send(PONG, struct.unpack_from("<Q", data, 8)[0])
    if number == DROP:
        send(CLOSED, id, payload=usage(5))
)py";

class BrokerLinkTest : public testing::Test {
 protected:
  void Start(const char* role) {
    binding_.reset();
    link_.emplace(io_, ChildProcess::Program{.executable = "/usr/bin/python3",
                                             .arguments = {"-c", kBroker, role},
                                             .environment = {},
                                             .inherited = {}});
    binding_.emplace(
        *link_, "{}", "run-7",
        [this](const std::string& why, bool users) {
          failure_ = why;
          users_input_ = users;
        },
        [this](const std::string& line, int64_t lost) {
          event_ = line;
          lost_ = lost;
        });
    binding_->used = [this] { ++used_; };
  }
  // Hands a channel over; the guest's ends stay here.
  Status Bind() {
    auto to = MakePipe(), from = MakePipe();
    guest_ = {std::move(from->write), std::move(to->read)};
    return binding_->Bind(std::move(from->read), std::move(to->write));
  }
  template <typename Predicate>
  bool TurnUntil(const Predicate& there) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!there() && std::chrono::steady_clock::now() < end) io_.run_one_for(1s);
    return there();
  }

  boost::asio::io_context io_{1};
  std::optional<BrokerLink> link_;
  std::optional<BrokerBinding> binding_;
  std::pair<UniqueFd, UniqueFd> guest_;
  std::string failure_, event_;
  bool users_input_ = false;
  int64_t lost_ = 0;
  int used_ = 0;
};

TEST_F(BrokerLinkTest, IsStartedWhenItIsNeeded) {
  Start("serves");
  EXPECT_TRUE(link_->layers().is_null());
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] { return !link_->layers().is_null(); }));
  EXPECT_EQ(link_->layers(),
            (nlohmann::json{{"on", {"seccomp"}}, {"missing", nlohmann::json::array()}}));
}

TEST_F(BrokerLinkTest, TellsOfUsageAndEvents) {
  Start("serves");
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] { return !event_.empty(); }));
  EXPECT_EQ(event_, "run-7");
  EXPECT_EQ(lost_, 2);
  EXPECT_EQ(used_, 1);
  EXPECT_EQ(binding_->usage().requests, 1u);
  bool closed = false;
  binding_->Close([&] { closed = true; });
  EXPECT_TRUE(TurnUntil([&] { return closed; }));
  EXPECT_EQ(binding_->usage().requests, 5u);  // what the end says takes the place of the report
}

TEST_F(BrokerLinkTest, OneThatCannotStartSaysWhy) {
  Start("cannot start");
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] { return !failure_.empty(); }));
  EXPECT_EQ(failure_, "no such file");
  EXPECT_TRUE(users_input_);
}

TEST_F(BrokerLinkTest, AGuestThatIsNotServedIsTold) {
  Start("refuses");
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] { return !failure_.empty(); }));
  EXPECT_EQ(failure_, "the policy is none");
  EXPECT_FALSE(users_input_);
}

TEST_F(BrokerLinkTest, OneThatDiesTakesItsChannelsWithIt) {
  Start("dies");
  ASSERT_TRUE(Bind());
  char byte;
  // The guest sees the end of its channel.
  EXPECT_TRUE(TurnUntil([&] {
    (void)channel::SetNonBlocking(guest_.second.get());
    return ::read(guest_.second.get(), &byte, 1) == 0;
  }));
  bool closed = false;
  binding_->Close([&] { closed = true; });
  EXPECT_TRUE(TurnUntil([&] { return closed; }));
  EXPECT_EQ(binding_->usage(), NetUsage{});
}

TEST_F(BrokerLinkTest, OneThatSaysWhatNoBrokerSaysIsEnded) {
  Start("nonsense");
  bool ready = false;
  link_->WhenReady([&] { ready = true; });
  EXPECT_TRUE(TurnUntil([&] { return ready; }));
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] {
    char byte;
    (void)channel::SetNonBlocking(guest_.second.get());
    return ::read(guest_.second.get(), &byte, 1) == 0;
  }));
}

TEST_F(BrokerLinkTest, ASecondChannelComesAfterASignOfLife) {
  Start("serves");
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] { return used_ == 1; }));
  ASSERT_TRUE(Bind());
  // The first is dropped, so that there is one at a time.
  EXPECT_TRUE(TurnUntil([&] { return binding_->usage().requests == 6; }));
}

TEST_F(BrokerLinkTest, OneThatNoLongerAnswersIsReplaced) {
  Start("deaf");
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] { return used_ == 1; }));
  ASSERT_TRUE(Bind());
  EXPECT_TRUE(TurnUntil([&] { return used_ == 2; }));  // by the one in its place
}

TEST_F(BrokerLinkTest, ABindingThatGoesBeforeItsLinkIsForgotten) {
  Start("serves");
  ASSERT_TRUE(Bind());
  binding_.reset();
  io_.poll();
  Start("serves");
  ASSERT_TRUE(Bind());
  link_.reset();  // and the other way round
  binding_.reset();
}

}  // namespace
}  // namespace postern::supervisor
