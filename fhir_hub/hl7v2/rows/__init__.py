"""One row of a map: what it says, what it becomes, and what that does when its segment comes."""
