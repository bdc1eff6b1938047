#include "net/server/http1_protocol.h"

#include "base/limits.h"
#include "net/http1/response.h"
#include "rt/runtime.h"

namespace sluice::net {

bool Http1Protocol::feed(std::string_view bytes, TimeNs, TurnScratch&) {
    waiting_.append(bytes);
    take_requests();
    return true;
}

bool Http1Protocol::may_serve() const {
    return !serving_ && !over_ && connection_.output().size() < limits::kHttp1OutputBytes;
}

void Http1Protocol::take_requests() {
    if (waiting_.empty()) return;
    std::string_view bytes = waiting_;
    while (may_serve() && !bytes.empty()) {
        const http1::Progress progress = parser_.feed(bytes);
        if (parser_.take_expects_continue()) connection_.output().append(http1::kContinueText);
        if (progress == http1::Progress::kRequest) {
            serve();
        } else if (progress == http1::Progress::kError) {
            connection_.output().append(http1::error_text(parser_.error()));
            over_ = true;
        }
    }
    waiting_.erase(0, waiting_.size() - bytes.size());
    if (over_ || waiting_.empty()) waiting_ = {};
}

void Http1Protocol::serve() {
    serving_ = true;
    connection_.retain();  // the fiber's
    rt::spawn(
        [this] {
            answer_ = router_.route(parser_.request());
            Connection& connection = connection_;
            connection.post(*this);
            connection.release();
        },
        "http");
}

void Http1Protocol::run_in_turn(TimeNs) {
    serving_ = false;
    const http1::Request& request = parser_.request();
    const bool keep_alive = request.keep_alive && !draining_;
    if (!over_) {
        connection_.output().append(
            http1::response_text({.status = answer_.status,
                                  .content_type = answer_.content_type,
                                  .body = answer_.body,
                                  .keep_alive = keep_alive,
                                  .is_head = request.method == http1::Method::kHead}));
    }
    answer_ = {};
    parser_.next();
    if (!keep_alive) over_ = true;
    take_requests();
}

}  // namespace sluice::net
