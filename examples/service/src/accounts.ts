/** The documents of the service: the schema gives their type, in handlers and tasks alike. */
import { defineCollection } from 'ringbolt'
import { z } from 'zod'

export const accounts = defineCollection({
  name: 'accounts',
  version: 1,
  schema: z.object({
    email: z.email(),
    city: z.string(),
    balanceCents: z.int().min(0),
  }),
  indexes: {
    email: { on: 'email', unique: true },
    cityBalance: { on: ['city', 'balanceCents'] },
  },
})
