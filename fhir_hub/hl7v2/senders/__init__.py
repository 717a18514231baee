"""What holds for one sender alone: how strictly it is read, where its facts belong."""
