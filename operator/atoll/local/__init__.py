"""A real Kubernetes cluster with simulated GPU nodes, on this machine alone.

Why: Atoll decides about fleets of GPUs that nobody has at hand. Everything it talks to can nevertheless be real: the
API server with its admission, etcd, the controllers, the scheduler with the shipped packing profile, Karpenter with
its scarcity and its drains, Envoy with its xDS. Only the nodes and the containers are simulated, by KWOK. So `make
run` shows the true operator at work without a cloud account, and the end-to-end tests fail where production would.

How it reads: `binaries` builds the programs once; `controlplane` starts and stops them; `cloud` turns a tuple of
offerings into what Karpenter sells; `losenode` takes a node away without notice; `envoy` runs the real router behind
a stand-in kubelet; `audit` counts who wrote what. All traffic stays on loopback, no container runtime is needed, and
nothing survives the process that started it unless that was asked for.
"""
