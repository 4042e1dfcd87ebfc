import { testCases } from '../../support/h2/test-cases.js';
import { streamStates } from './cases/stream-states.js';

testCases(streamStates);
