"""One module a search parameter type: how a value is indexed and how a query tests it."""
