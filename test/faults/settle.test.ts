import { describe } from 'vitest'
import { MemoryBudgetState } from '../../src/core/memory-state.ts'
import { settledExactlyOnce } from './settle-ways.ts'

describe('settled exactly once', () => settledExactlyOnce(async () => new MemoryBudgetState()))
