/** `millrace/conformance`: the name is reserved for the kit that plugin authors will test their plugins with. It exports
 * nothing yet. */
export {}
