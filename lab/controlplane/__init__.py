"""The Kubernetes control plane's binaries: go.mod and go.sum say which, build.py finds or makes them."""
