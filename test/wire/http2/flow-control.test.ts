import { testCases } from '../../support/h2/test-cases.js';
import { flowControl } from './cases/flow-control.js';

testCases(flowControl);
