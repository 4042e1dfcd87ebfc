import { testCases } from '../../support/h2/conformance-server.js';
import { starting } from './cases/starting.js';

testCases(starting);
