import { testCases } from '../../support/h2/test-cases.js';
import { starting } from './cases/starting.js';

testCases(starting);
