// Pipeline: stages that work at the same time on a stream of items, such as parse -> verify ->
// persist. Each stage has its own number of fibers and takes from a bounded channel, so that a slow
// stage holds up those before it, and memory stays bounded. The first error ends all stages.
//
//   sync::Channel<Frame> frames(64);
//   sync::Channel<Record> parsed(64), verified(64);
//   sync::Pipeline pipeline(&context);
//   pipeline.stage("parse", frames, 2, parsed, [](Frame&& frame) { return parse(frame); });
//   pipeline.stage("verify", parsed, 4, verified, verify);      // Result<Record>(Record&&)
//   pipeline.sink("persist", verified, 1, [&](Record&& record) { return log.append(record); });
//   while (auto frame = read_frame()) {
//       if (!frames.send(std::move(*frame), pipeline.context())) break;
//   }
//   frames.close();
//   SLUICE_TRY(pipeline.wait());
//
// Items are moved, never copied; a move must be cheap (sync/channel.h), so large ones go by
// pointer. A stage with one fiber keeps the order, one with more does not. A stage's function may
// suspend, on pipeline.context(); it is called by all the stage's fibers at a time; it must not
// throw.
//
// The end runs downstream: when a stage's input is closed and empty and its fibers have ended, its
// output is closed. After an error, or when the context ends, fibers stop after their current item;
// what still lies in channels is destroyed with them. Outputs are closed then too: whoever reads
// the last channel himself must ask wait() whether that was all.
//
// A channel is the output of one stage only. Fibers only. The channels and what the functions refer
// to must outlive wait(); the destructor asserts that wait() has been called. Cost of an item in a
// stage: a receive and a send.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "sync/channel.h"
#include "sync/group.h"

namespace sluice::sync {

class Pipeline {
  public:
    explicit Pipeline(const Context* parent) : group_(parent) {}

    // Ends with the parent, at the first error of a stage, and at cancel().
    const Context& context() const noexcept { return group_.context(); }
    void cancel(std::string_view cause = "context canceled") { group_.cancel(cause); }

    // F: Result<Out>(In&&), or Result<std::optional<Out>>(In&&) where nothing drops the item.
    // `name` is the fibers' (it must outlive them).
    template <class In, class Out, class F>
    void stage(const char* name, Channel<In>& in, unsigned workers, Channel<Out>& out, F fn) {
        auto deliver = [this, &out, body = std::move(fn)](In&& item) mutable -> Status {
            auto made = body(std::move(item));
            if (!made) return fail(std::move(made).error());
            if constexpr (std::is_same_v<typename decltype(made)::value_type, std::optional<Out>>) {
                if (!made->has_value()) return {};
                return out.send(std::move(**made), context());
            } else {
                return out.send(std::move(*made), context());
            }
        };
        start(name, in, workers, std::move(deliver), [&out] { out.close(); });
    }

    // The last stage. F: Status(In&&).
    template <class In, class F>
    void sink(const char* name, Channel<In>& in, unsigned workers, F fn) {
        start(name, in, workers, std::move(fn), [] {});
    }

    // Suspends until all stages have ended; the first error, or why the context ended. Joining
    // always happens.
    Status wait() { return group_.wait(); }

  private:
    // What the fibers of a stage share; the last one closes the output and frees it.
    template <class Fn, class Close>
    struct Stage {
        Stage(Fn its_fn, Close its_close, unsigned workers)
            : fn(std::move(its_fn)), close_output(std::move(its_close)), running(workers) {}
        Fn fn;
        Close close_output;
        std::atomic<unsigned> running;
    };

    template <class In, class Fn, class Close>
    void start(const char* name, Channel<In>& in, unsigned workers, Fn fn, Close close_output) {
        SLUICE_CHECK(workers > 0);
        using Shared = Stage<Fn, Close>;
        auto* const stage =
            std::make_unique<Shared>(std::move(fn), std::move(close_output), workers).release();
        for (unsigned i = 0; i < workers; ++i) {
            group_.spawn(
                [this, &in, stage] {
                    Status status = work(in, stage->fn);
                    if (stage->running.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                        const std::unique_ptr<Shared> last(stage);
                        last->close_output();
                    }
                    return status;
                },
                name);
        }
    }

    template <class In, class Fn>
    Status work(Channel<In>& in, Fn& fn) {
        for (;;) {
            SLUICE_TRY(context().status());
            Result<In> item = in.receive(context());
            if (!item) {
                if (item.error().code() == Code::kOutOfRange) return {};  // closed and empty
                return fail(std::move(item).error());
            }
            SLUICE_TRY(fn(std::move(*item)));
        }
    }

    Group group_;
};

}  // namespace sluice::sync
