#include "cli/elsewhere.h"

#include <algorithm>

namespace postern::cli {
namespace {

struct Advice {
  std::string_view names;  // with blanks between them; one with "*" at its end is a beginning
  std::string_view instead;
};

constexpr Advice kElsewhere[] = {
    // What a program may do
    {"-A --allow-all",
     "name what the program may have: --allow-net=RULE, --mount=HOST:GUEST, --env=NAME"},
    {"--allow-read --allow-fs-read --volume", "write --mount=HOST:GUEST"},
    {"--allow-write --allow-fs-write", "write --mount=HOST:GUEST:rw"},
    {"--allow-env", "write --env=NAME for each variable"},
    {"--env-file --env-file-if-exists",
     "write --env=NAME=VALUE for each variable, or env: in a policy"},
    {"-e", "write --env=NAME[=VALUE] for a variable, postern eval CODE for code"},
    {"-v", "write --mount=HOST:GUEST for a directory, --verbose for a line a request"},
    {"--allow-run --allow-child-process --pids-limit", "a guest starts no programs"},
    {"--allow-ffi --allow-addons --no-addons", "a guest loads no native code"},
    {"--allow-wasi", "a guest has no WASI"},
    {"--allow-worker", "a guest has one thread"},
    {"--allow-sys", "a guest has the system's names from Postern, whatever they are"},
    {"--allow-hrtime", "write --timer-resolution=1us"},
    {"--allow-import", "a guest imports from directories that it sees: --mount=HOST:GUEST"},
    {"--deny-read", "a guest reads nothing that --mount does not name"},
    {"--deny-write --read-only",
     "a guest writes nothing that no --mount=HOST:GUEST:rw names; leave it out"},
    {"--deny-env", "a guest has no variable that --env does not name"},
    {"--deny-run --deny-ffi --deny-sys --deny-import --no-prompt --permission "
     "--experimental-permission --cap-drop --security-opt",
     "a guest has no permission that no flag gives; leave it out"},
    {"--no-net --no-network --offline --no-remote --cached-only",
     "a guest has no network that no --allow-net gives; leave it out"},
    {"--network --net", "write --allow-net=RULE, or nothing for none"},
    {"--privileged --cap-add --device --gpus",
     "nothing gives a guest more than --allow-net, --mount and --env do"},
    {"-u --user --userns", "a guest is nobody, whoever starts it; leave it out"},
    // Network
    {"--dns", "write network: {dns: {servers: [IP]}} in a policy"},
    {"--add-host", "write network: {dns: {hosts: {NAME: IP}}} in a policy"},
    {"--proxy -x", "write --adapter=proxy:URL"},
    {"--ca --cacert --cafile --use-openssl-ca --use-system-ca --use-bundled-ca --default-ca",
     "write network: {tls: {ca_file: FILE}} in a policy"},
    {"-k --insecure --unsafely-ignore-certificate-errors",
     "certificates are always checked; network: {tls: {ca_file: FILE}} in a policy names an "
     "authority"},
    {"--cert --key", "write tls: {certificate: FILE, key: FILE} in a rule of a policy"},
    // Limits
    {"-m --max-old-space-size --max-heap-size --max-semi-space-size --stack-size --memory-swap "
     "--shm-size --smol",
     "write --memory=128MiB"},
    {"--cpus --cpu-shares", "a guest has one thread; --cpu=5s limits its CPU time"},
    {"--stop-timeout", "write --grace=5s"},
    {"--ulimit", "write --memory=128MiB, --cpu=5s or --timeout=5s"},
    {"--tmpfs", "/tmp is the guest's own, in its memory; leave it out"},
    // The program
    {"-c --eval", "write postern eval CODE"},
    {"--print", "write postern eval CODE, which prints the value"},
    {"--input-type --experimental-default-type", "write --ext=mjs, or --ext=cjs"},
    {"-w --workdir", "write --cwd=DIR"},
    {"--entrypoint", "name the program: postern run FILE"},
    {"-r --import --loader --experimental-loader --preload", "import it in the program"},
    {"--import-map",
     "write \"imports\" of package.json, for names that begin with \"#\", or paths of "
     "tsconfig.json"},
    {"--config",
     "package.json and tsconfig.json beside the program are read; --policy=FILE says "
     "what it may do"},
    {"-C --conditions --node-modules-dir --lock --frozen --no-lock --no-config --no-npm --vendor "
     "--preserve-symlinks --preserve-symlinks-main",
     "modules are found as Node.js finds them by default; leave it out"},
    {"--no-check --experimental-strip-types --experimental-transform-types --no-strip-types",
     "types are taken out and not checked; leave it out"},
    {"--enable-source-maps", "source maps are used; leave it out"},
    {"--watch --watch-path --hot --reload",
     "nothing is watched or cached; run it anew when a file "
     "has changed"},
    {"--test --test-* --experimental-test-*", "a guest has no test runner"},
    {"--check", "postern run runs it; postern check is for policies"},
    {"--no-warnings --disable-warning --no-deprecation --trace-warnings --trace-deprecation "
     "--pending-deprecation",
     "leave it out; process.on('warning') of the program takes warnings"},
    {"--unhandled-rejections", "an unhandled rejection ends the run; leave it out"},
    {"--trace-uncaught --abort-on-uncaught-exception",
     "an uncaught error is printed with its stack; leave it out"},
    {"--expose-gc --expose_gc", "a guest has no gc()"},
    {"--inspect --inspect-brk --inspect-wait --inspect-port", "there is no debugger for a guest"},
    {"--prof --cpu-prof --cpu-prof-* --heap-prof --heap-prof-* --heapsnapshot-*",
     "there is no profiler for a guest"},
    {"--title --name --label --cidfile", "a run has no name; leave it out"},
    {"--v8-flags --v8-options", "V8 has no flags here but --jitless"},
    {"--unstable --unstable-* --experimental-* --no-experimental-*",
     "what a guest has does not depend on it; leave it out"},
    // How it is run
    {"--rm", "a run leaves nothing behind; leave it out"},
    {"-i --interactive", "a guest may read standard input; leave it out"},
    {"-t --tty", "output goes where yours goes; leave it out"},
    {"-it -ti", "a guest may read standard input, and output goes where yours goes; leave it out"},
    {"-d --detach", "postern serve runs what it is sent; nothing goes on behind a command"},
    {"--restart --init --pull --platform --runtime --ipc --pid",
     "a guest is a process of its own, started anew for each run; leave it out"},
    {"-q --quiet -s --silent", "Postern says nothing of its own unless something fails"},
    {"--log-level --debug", "write --verbose for a line a request"},
    {"-V", "write postern --version"}};

// What has another answer under postern serve.
constexpr Advice kServing[] = {
    {"-p --port --publish --expose", "write --listen=PORT"},
    {"-H -b --host --hostname --bind --address", "write --listen=HOST:PORT"},
    {"--unix", "write --socket=PATH"},
    {"--workers --parallel --cluster -j", "write --guests=N"},
    {"--json", "the API answers in JSON; postern run --json prints it"},
    {"--grace", "--drain-timeout=25s is what runs have when it stops"},
    {"--network-report", "postern run --network-report reports what a program asks for"}};
constexpr Advice kRunning[] = {
    {"-p",
     "a guest listens nowhere, but for postern serve --handler=FILE --listen=PORT; for code, "
     "write postern eval CODE, which prints the value"},
    {"--publish --expose --port --host --hostname --bind --address --listen --handler",
     "a program answers requests under postern serve --handler=FILE --listen=PORT"}};

bool Names(const Advice& advice, std::string_view name) {
  std::string_view rest = advice.names;
  while (!rest.empty()) {
    const size_t blank = std::min(rest.find(' '), rest.size());
    std::string_view one = rest.substr(0, blank);
    const bool begins = one.ends_with('*');
    if (begins) one.remove_suffix(1);
    if (begins ? name.starts_with(one) : name == one) return true;
    rest.remove_prefix(std::min(blank + 1, rest.size()));
  }
  return false;
}

template <size_t kSize>
std::string_view Find(const Advice (&table)[kSize], std::string_view name) {
  const auto* found = std::find_if(std::begin(table), std::end(table),
                                   [&](const Advice& advice) { return Names(advice, name); });
  return found == std::end(table) ? std::string_view() : found->instead;
}

}  // namespace

std::string_view AdviceFor(std::string_view name, bool serves) {
  const std::string_view here = serves ? Find(kServing, name) : Find(kRunning, name);
  return here.empty() ? Find(kElsewhere, name) : here;
}

}  // namespace postern::cli
