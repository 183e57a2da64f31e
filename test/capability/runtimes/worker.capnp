using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "executor", worker = (
      modules = [(name = "worker.mjs", esModule = embed "worker-bundle.mjs")],
      compatibilityDate = "2024-09-23",
    )),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "executor")],
);
