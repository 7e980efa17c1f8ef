/** Preloaded by `plugin test` with `--import`, in the process of each test file: there `millrace` is this core. */
import { installResolver } from '../../core/host/resolver.ts'

installResolver()
