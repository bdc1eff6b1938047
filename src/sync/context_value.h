// ContextValue: a child context with a value of a typed key, for those who are called under it.
// For what belongs to a request and crosses layers that do not know it (request id, tenant, trace);
// not for optional arguments.
//
//   inline constexpr sync::ContextKey<TenantId> kTenant;          // its address is the key
//
//   sync::ContextValue tenant(&context, kTenant, TenantId(7));
//   handle(request, tenant);                                      // as const Context&
//   ... if (const TenantId* id = sync::value_of(context, kTenant)) bill(*id);
//
// The value lies in the ContextValue, that is mostly on the fiber's stack; the rules of Context
// hold: it outlives its children. A value is found by walking up the ancestors: the nearest one
// with the key wins, nullptr if there is none. Cost: construction is a child's (27 ns) and the
// value's move; a look-up about 1 ns for each ancestor. Contexts without values pay nothing: they
// are not larger, and nothing looks at them.
#pragma once

#include <utility>

#include "sync/context.h"

namespace sluice::sync {

// Compared by address: define it once, as inline or static. Not copied.
template <class T>
class ContextKey {
  public:
    constexpr ContextKey() = default;
    ContextKey(const ContextKey&) = delete;
    ContextKey& operator=(const ContextKey&) = delete;

  private:
    char identity_ = 0;  // distinct keys have distinct addresses
};

class ContextValueBase : public Context {
  protected:
    ContextValueBase(const Context* parent, const void* key, const void* value)
        : Context(parent, HasValue{}), key_(key), value_(value) {}

  private:
    template <class T>
    friend const T* value_of(const Context& context, const ContextKey<T>& key) noexcept;

    static const void* find(const Context& context, const void* key) noexcept {
        for (const Context* c = &context; c != nullptr; c = c->parent_) {
            if (!c->has_value_) continue;
            const auto& node = static_cast<const ContextValueBase&>(*c);
            if (node.key_ == key) return node.value_;
        }
        return nullptr;
    }

    const void* const key_;
    const void* const value_;
};

template <class T>
class ContextValue final : public ContextValueBase {
  public:
    ContextValue(const Context* parent, const ContextKey<T>& key, T value)
        : ContextValueBase(parent, &key, &value_), value_(std::move(value)) {}

  private:
    const T value_;
};

// Any fiber or thread under the context's life.
template <class T>
const T* value_of(const Context& context, const ContextKey<T>& key) noexcept {
    return static_cast<const T*>(ContextValueBase::find(context, &key));
}

}  // namespace sluice::sync
