"""Resources and received messages on MongoDB: a replica set, or a sharded cluster."""
