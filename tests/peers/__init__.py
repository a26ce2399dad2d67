"""Scripted peers, written from section 1 of the protocol page and from nothing of im_proto."""
