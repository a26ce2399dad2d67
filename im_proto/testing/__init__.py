"""Help for tests of what is built on im-proto; alone in `im_proto`, it may import more."""
