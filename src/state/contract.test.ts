import { contract } from './testing/contract.test-support.ts'
import { memorySubject } from './testing/memory.test-support.ts'

contract('memory', async () => memorySubject())
