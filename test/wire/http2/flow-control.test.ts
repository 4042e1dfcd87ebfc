import { testCases } from '../../support/h2/conformance-server.js';
import { flowControl } from './cases/flow-control.js';

testCases(flowControl);
