import { describeContract } from './testing/contract.ts'

// L5: one contract for all methods; a file each, so that they run side by side.
describeContract('lockfile')
