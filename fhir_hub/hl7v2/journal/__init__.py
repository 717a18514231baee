"""What the hub does around its journal of messages: order, retries, masking, replay, retention."""
