// The transport, by raw sockets: limits, slow and rude clients, streams, and that a client that leaves is noticed.
#include "serve/http.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "serve/testing_client.h"
#include "tests/support/scratch.h"

namespace tessera::serve {
namespace {

using ::testing::HasSubstr;
using testing::RawClient;
using ::testing::StartsWith;

/// A server whose requests the test answers.
class HttpTest : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    options.port = 0;
    server = start_http(
        options,
        [](const HttpRequest& head) -> std::optional<HttpReply> {
          if (head.path == "/refused") return HttpReply{.status = 403, .body = "no"};
          return std::nullopt;
        },
        [this](std::shared_ptr<Exchange> exchange) {
          const std::lock_guard lock(mutex);
          if (exchange->request().path == "/echo")
            exchange->reply({.body = exchange->request().method + " " + exchange->request().query + " " +
                                     exchange->request().body});
          else held.push_back(std::move(exchange));
        });
  }
  RawClient client() const { return RawClient(server->port()); }
  std::shared_ptr<Exchange> next() {
    for (int i = 0; i < 2000; ++i) {
      {
        const std::lock_guard lock(mutex);
        if (!held.empty()) {
          auto exchange = held.front();
          held.erase(held.begin());
          return exchange;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    throw std::runtime_error("no request came");
  }
  template <class Done> static bool comes_true(Done done) {
    for (int i = 0; i < 4000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return done();
  }

  std::mutex mutex;
  std::vector<std::shared_ptr<Exchange>> held;
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpTest, AnswersRequestAfterRequestOnOneConnection) {
  start();
  const RawClient one = client();
  for (int i = 0; i < 3; ++i) {
    one.send("POST /echo?a=" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_THAT(one.answer(), AllOf(StartsWith("HTTP/1.1 200 OK"), HasSubstr("POST a=" + std::to_string(i) + " hi")));
  }
}

TEST_F(HttpTest, RequestsThatAreSentInAdvanceAreAnsweredInOrder) {
  start();
  const RawClient one = client();
  one.send("GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  next()->reply({.body = "first"});
  const std::string all = one.receive();
  EXPECT_LT(all.find("first"), all.find("second"));
  EXPECT_NE(all.find("second"), std::string::npos);
}

TEST_F(HttpTest, ATargetMayNameItsHostWhichThenCounts) {
  start();
  const RawClient one = client();
  one.send("GET http://there:80/where?a=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = next();
  EXPECT_EQ(exchange->request().path, "/where");
  EXPECT_EQ(exchange->request().query, "a=1");
  EXPECT_EQ(exchange->request().header("host"), "there:80");
  exchange->reply({});
  one.answer();
  one.send("GET HTTP://there HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto root = next();
  EXPECT_EQ(root->request().path, "/");
  root->reply({});
}

TEST_F(HttpTest, TwoHostsAreRefused) {
  start();
  const RawClient one = client();
  one.send("GET /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
  EXPECT_THAT(one.receive(), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("two Host fields"), Not(HasSubstr("GET "))));
}

TEST_F(HttpTest, BodiesInChunksAreRead) {
  start();
  const RawClient one = client();
  one.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
  EXPECT_THAT(one.answer(), HasSubstr("hello"));
}

TEST_F(HttpTest, AClientThatAsksFirstIsToldToGoOn) {
  start();
  const RawClient one = client();
  one.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(one.receive("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  one.send("ok");
  EXPECT_THAT(one.answer(), HasSubstr("ok"));
}

TEST_F(HttpTest, AStreamComesPieceByPieceAndEnds) {
  start();
  const RawClient one = client();
  one.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = next();
  exchange->begin(200, {{"Content-Type", "text/event-stream"}}, "");
  exchange->write("data: 1\n\n");
  EXPECT_THAT(one.receive("data: 1"), HasSubstr("Transfer-Encoding: chunked"));
  exchange->write("data: 2\n\n");
  exchange->end();
  EXPECT_THAT(one.receive("0\r\n\r\n"), HasSubstr("data: 2"));
  one.send("GET /echo?again HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.answer(), HasSubstr("again"));
}

TEST_F(HttpTest, AnOldClientGetsItsStreamUntilTheConnectionEnds) {
  start();
  const RawClient one = client();
  one.send("GET /stream HTTP/1.0\r\n\r\n");
  const auto exchange = next();
  exchange->begin(200, {}, "");
  exchange->write("whole");
  exchange->end();
  const std::string all = one.receive();
  EXPECT_THAT(all, ::testing::EndsWith("\r\n\r\nwhole"));
}

TEST_F(HttpTest, AQuietStreamShowsThatItLives) {
  start({.heartbeat_seconds = 0.3});
  const RawClient one = client();
  one.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = next();
  exchange->begin(200, {}, ": waiting\n\n");
  EXPECT_THAT(one.receive(": waiting"), HasSubstr(": waiting"));
  exchange->end();
}

TEST_F(HttpTest, AClientThatLeavesIsNoticed) {
  start();
  RawClient one = client();
  one.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = next();
  EXPECT_FALSE(exchange->gone());
  one.leave();
  EXPECT_TRUE(comes_true([&] { return exchange->gone(); }));
  exchange->begin(200, {}, "");  // does nothing
  exchange->write("x");
  exchange->end();
  EXPECT_TRUE(comes_true([&] { return server->active() == 0; }));
}

TEST_F(HttpTest, AClientThatDoesNotReadIsCutOffAndItsStreamIsBounded) {
  start({.backlog_bytes = 1 << 20});
  const RawClient one = client();
  one.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = next();
  exchange->begin(200, {}, "");
  const std::string piece(256 << 10, 'x');
  int pieces = 0;
  while (!exchange->gone() && pieces < 400) {
    exchange->write(piece);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ++pieces;
  }
  EXPECT_LT(pieces, 400);
}

TEST_F(HttpTest, ALongBodyIsRefusedWithTheLimitBeforeItIsRead) {
  start({.body_bytes = 1000});
  const RawClient one = client();
  one.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
  EXPECT_THAT(one.receive(), AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("1000 bytes")));
}

TEST_F(HttpTest, ChunksWithoutEndAreRefusedAtTheLimit) {
  start({.body_bytes = 100000});
  const RawClient one = client();
  one.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
  bool taken = true;
  for (int i = 0; i < 100 && taken; ++i) taken = one.send(chunk);
  EXPECT_THAT(one.receive(), HasSubstr("413"));
}

TEST_F(HttpTest, BodiesOfAllRequestsTogetherAreLimited) {
  start({.body_bytes = 1000, .all_bodies = 1500});
  const RawClient one = client(), two = client();
  one.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  two.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_THAT(two.receive(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After")));
  one.send(std::string(996, 'x'));
  EXPECT_THAT(one.answer(), StartsWith("HTTP/1.1 200"));
  const RawClient three = client();
  three.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(three.answer(), StartsWith("HTTP/1.1 200"));  // room again
}

TEST_F(HttpTest, ALongHeadIsRefused) {
  start({.header_bytes = 2048});
  const RawClient one = client();
  one.send("GET /echo HTTP/1.1\r\nHost: x\r\nX: " + std::string(10000, 'x') + "\r\n\r\n");
  EXPECT_THAT(one.receive(), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpTest, NonsenseIsRefused) {
  start();
  for (const char* bytes :
       {"hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n"}) {
    const RawClient one = client();
    one.send(bytes);
    EXPECT_THAT(one.receive(), StartsWith("HTTP/1.1 400")) << bytes;
  }
}

TEST_F(HttpTest, TwoLengthsAreRefusedSoThatNoProxyIsFooled) {
  start();
  const RawClient one = client();
  one.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET "
      "/echo?smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.receive(), AllOf(StartsWith("HTTP/1.1 400"), ::testing::Not(HasSubstr("smuggled"))));
}

TEST_F(HttpTest, ARefusedHeadIsAnsweredAlthoughItsBodyIsStillComing) {
  start();
  const RawClient one = client();
  one.send("POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + std::string(200000, 'x'));
  EXPECT_THAT(one.receive(), StartsWith("HTTP/1.1 403"));
}

TEST_F(HttpTest, SlowHeadsAndIdleConnectionsAreEnded) {
  start({.head_seconds = 0.5});
  const RawClient one = client();
  bool open = true;
  const std::string head = "GET /echo HTTP/1.1\r\nHost: x\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n";
  for (size_t i = 0; i < head.size() && open; ++i) {  // a byte at a time, as slowhttptest does
    open = one.send(head.substr(i, 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(one.receive(), "");
  EXPECT_TRUE(comes_true([&] { return server->connections() == 0; }));
}

TEST_F(HttpTest, AConnectionMayRestLongerThanAHeadMayTake) {
  start({.head_seconds = 0.5, .idle_seconds = 60});
  const RawClient one = client();
  one.send("GET /echo?first HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.answer(), HasSubstr("first"));
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  one.send("GET /echo?second HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.answer(), HasSubstr("second"));
  one.send("GET /echo?third HTTP/1.1\r\nHost:");  // and then nothing
  EXPECT_EQ(one.receive(), "");                   // long before the minute is over
}

TEST_F(HttpTest, BodiesInChunksCountAsFarAsTheyHaveCome) {
  start({.body_bytes = 1000, .all_bodies = 1500});
  std::vector<std::unique_ptr<RawClient>> crowd;
  for (int i = 0; i < 8; ++i) {
    crowd.push_back(std::make_unique<RawClient>(server->port()));
    crowd.back()->send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  for (const auto& one : crowd) one->send("3\r\nllo\r\n0\r\n\r\n");
  for (const auto& one : crowd) EXPECT_THAT(one->answer(), HasSubstr("hello"));
  const std::string much = "320\r\n" + std::string(800, 'x') + "\r\n";
  const RawClient first = client(), second = client();
  first.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + much);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  second.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + much);
  EXPECT_THAT(second.receive(), StartsWith("HTTP/1.1 503"));
}

TEST_F(HttpTest, HealthIsAnsweredBesideManyThatDoNothing) {
  start();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 300; ++i) {
    idle.push_back(std::make_unique<RawClient>(server->port()));
    if (i % 2 == 0) idle.back()->send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  const RawClient one = client();
  one.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.answer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpTest, TooManyConnectionsAreToldSo) {
  start({.connections = 2});
  const RawClient one = client(), two = client();
  one.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  one.answer();
  two.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  two.answer();
  for (int i = 0; i < 3; ++i) {
    const RawClient three = client();
    EXPECT_THAT(three.receive(), StartsWith("HTTP/1.1 503"));
  }
  EXPECT_TRUE(comes_true([&] { return server->connections() == 2; }));  // of those that were refused none stays
  two.send("GET /echo?still HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(two.answer(), HasSubstr("still"));
}

TEST_F(HttpTest, AUnixSocketServesItsOwnerAloneAndIsRemoved) {
  const tessera::testing::ScratchFolder scratch;
  HttpOptions options;
  options.socket = scratch / "s";
  start(options);
  const RawClient one(options.socket);
  one.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.answer(), StartsWith("HTTP/1.1 200"));
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(options.socket).permissions() & (perms::group_all | perms::others_all),
            perms::none);
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(options.socket));
}

TEST_F(HttpTest, DrainingTakesNothingNewAndFinishesWhatIsUnderWay) {
  start();
  const RawClient one = client();
  const uint16_t port = server->port();
  one.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = next();
  server->drain();
  EXPECT_TRUE(comes_true([&] {
    try {
      RawClient late(port);
      return false;
    } catch (const std::runtime_error&) {
      return true;
    }
  }));
  exchange->reply({.body = "done"});
  EXPECT_THAT(one.receive(), AllOf(HasSubstr("done"), HasSubstr("Connection: close")));
  EXPECT_TRUE(comes_true([&] { return server->active() == 0; }));
}

TEST_F(HttpTest, AnExchangeThatIsForgottenBreaksItsConnection) {
  start();
  const RawClient one = client();
  one.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  next().reset();
  EXPECT_EQ(one.receive(), "");
}

TEST_F(HttpTest, AnExchangeOutlivesTheServer) {
  start();
  const RawClient one = client();
  one.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = next();
  server.reset();
  EXPECT_TRUE(exchange->gone());
  exchange->reply({.body = "late"});
}

TEST(Http, QueriesAreDecoded) {
  const HttpRequest request{
      .method = "GET", .path = "/", .query = "a=1+2&b=%C3%A9&c=%zz&d", .headers = {}, .body = "", .peer = ""};
  EXPECT_EQ(request.parameter("a"), "1 2");
  EXPECT_EQ(request.parameter("b"), "\u00e9");
  EXPECT_EQ(request.parameter("c"), std::nullopt);
  EXPECT_EQ(request.parameter("d"), "");
  EXPECT_EQ(request.parameter("e"), std::nullopt);
}

TEST_F(HttpTest, AnAddressThatIsTakenIsAMistakeOfTheCaller) {
  start();
  HttpOptions again;
  again.port = server->port();
  EXPECT_THROW(start_http(again, {}, {}), UserError);
  again.host = "no address";
  EXPECT_THROW(start_http(again, {}, {}), UserError);
}

}  // namespace
}  // namespace tessera::serve
