"""Authorization: roles, bindings, who may do what, and who may give rights away."""
