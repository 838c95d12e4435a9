// Functions without a body, as go:linkname needs them, are allowed in packages that have an assembly file.
