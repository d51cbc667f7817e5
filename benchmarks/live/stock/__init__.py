"""The peer: a Django project with a consumer as Channels' documentation has it, on the pub/sub layer."""
