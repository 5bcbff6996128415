// Runs one launch of a kernel on the host: reads it from standard input, writes every buffer back.
//
// Integers are 32 bits, in the machine's order:
//   length and name of the kernel; blocks x and y; threads; order of the threads;
//   number of buffers, each its bytes and their content;
//   number of arguments, each a kind (0 buffer, 1 integer, 2 float) and a value (which buffer, or the
//   bits of the number).
#include <map>
#include <string>
#include <tuple>

#include "../attention_16.cu"
#include "../attention_32.cu"
#include "../attention_64.cu"
#include "../attention_128.cu"
// the files have constants of the same names; on the device each is a module of its own
namespace norm {
#include "../layer_norm.cu"
}
namespace point {
#include "../pointwise.cu"
}
using namespace norm;
using namespace point;

struct Argument {
    uint32_t kind, value;
};

// A buffer between two stretches of NaN: what is read beyond its ends spoils the result, what is written
// there is noticed.
struct Guarded {
    static constexpr size_t GUARD = 4096;
    std::vector<char> bytes;

    void resize(size_t size) { bytes.assign(size + 2 * GUARD, char(0xff)); }
    size_t size() const { return bytes.size() - 2 * GUARD; }
    char *data() { return bytes.data() + GUARD; }
    bool intact() const {
        auto untouched = [](char c) { return c == char(0xff); };
        return std::all_of(bytes.begin(), bytes.begin() + GUARD, untouched) &&
               std::all_of(bytes.end() - GUARD, bytes.end(), untouched);
    }
};

static std::vector<Guarded> buffers;

template <typename A> A convert(const Argument &argument) {
    if constexpr (std::is_pointer_v<A>) {
        if (argument.kind != 0) throw std::string("a number where the kernel takes a buffer");
        return reinterpret_cast<A>(buffers.at(argument.value).data());
    } else {
        if (argument.kind != (std::is_same_v<A, float> ? 2 : 1)) throw std::string("an argument of the wrong type");
        A value;
        static_assert(sizeof value == sizeof argument.value);
        memcpy(&value, &argument.value, sizeof value);
        return value;
    }
}

using Kernel = std::function<void(const std::vector<Argument> &)>;

template <typename... A, size_t... I> Kernel wrap(void (*kernel)(A...), std::index_sequence<I...>) {
    return [kernel](const std::vector<Argument> &arguments) {
        if (arguments.size() != sizeof...(A)) throw std::string("the wrong number of arguments");
        kernel(convert<A>(arguments[I])...);
    };
}

template <typename... A> Kernel wrap(void (*kernel)(A...)) { return wrap(kernel, std::index_sequence_for<A...>{}); }

#define NAMED(name) {#name, wrap(name)}
#define ATTENTION_NAMES(KIND)                                                                                         \
    NAMED(attention_forward_##KIND), NAMED(attention_backward_queries_##KIND), NAMED(attention_backward_keys_##KIND)
#define ROW_NAMES(T, W)                                                                                               \
    NAMED(layer_norm_forward_##T##_##W), NAMED(layer_norm_backward_##T##_##W), NAMED(quick_gelu_forward_##T##_##W),   \
        NAMED(quick_gelu_backward_##T##_##W), NAMED(add_bias_##T##_##W)

static const std::map<std::string, Kernel> KERNELS = {
    ATTENTION_NAMES(float_16),  ATTENTION_NAMES(float_32),  ATTENTION_NAMES(float_64),  ATTENTION_NAMES(float_128),
    ATTENTION_NAMES(mma_16),    ATTENTION_NAMES(mma_32),    ATTENTION_NAMES(mma_64),    ATTENTION_NAMES(bf16_128),
    ROW_NAMES(float, 1),        ROW_NAMES(float, 4),        ROW_NAMES(bf16, 1),         ROW_NAMES(bf16, 4),
    NAMED(advance_linf),
};

static void read(void *to, size_t bytes) {
    if (fread(to, 1, bytes, stdin) != bytes) throw std::string("the launch ends too soon");
}

static uint32_t number() {
    uint32_t value;
    read(&value, sizeof value);
    return value;
}

static void launch() {
    std::string name(number(), ' ');
    read(name.data(), name.size());
    host::grid_size = {number(), 1, 1};
    host::grid_size.y = number();
    host::block_size = {number(), 1, 1};
    unsigned order = number();
    buffers.resize(number());
    for (auto &buffer : buffers) {
        buffer.resize(number());
        read(buffer.data(), buffer.size());
    }
    std::vector<Argument> arguments(number());
    for (auto &argument : arguments) argument = {number(), number()};

    auto kernel = KERNELS.find(name);
    if (kernel == KERNELS.end()) throw "no kernel " + name;
    for (unsigned y = 0; y < host::grid_size.y; y++) {
        for (unsigned x = 0; x < host::grid_size.x; x++) {
            host::block_index = {x, y, 0};
            host::run_block(host::block_size.x, order, [&] { kernel->second(arguments); });
        }
    }
    for (auto &buffer : buffers) {
        if (!buffer.intact()) throw name + " wrote outside a buffer";
    }
    for (auto &buffer : buffers) fwrite(buffer.data(), 1, buffer.size(), stdout);
}

int main() {
    try {
        launch();
    } catch (const std::string &reason) {
        fprintf(stderr, "%s\n", reason.c_str());
        return 2;
    }
    return 0;
}
