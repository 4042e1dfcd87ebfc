import { testCases } from '../../support/h2/conformance-server.js';
import { streamStates } from './cases/stream-states.js';

testCases(streamStates);
