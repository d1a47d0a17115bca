"""Looking inside an exported policy: what it attends to, what its neurons do, how far its gradients reach."""
